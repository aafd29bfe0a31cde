"""Kafka messages into records: parsed and judged, nothing repaired, nothing dropped.

Both layers' queries start here. A message takes the fast path if a few cheap predicates prove it good; only one that
does not is looked at closely, to tell the reason or to find that it was good after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from bytemeter.feeds.feed import Feed

MOST_CHARACTERS = 512
REFUSED_BY_CLOCK = "timestamp over a day in the future"
_A_DAY_S = 86_400
_EXACT = "decimal(20,0)"
_STRICT_JSON = {"allowSingleQuotes": "false"}

Transformation = Callable[[DataFrame], DataFrame]


def parse(feed: Feed, *, judged_at: Column | None = None) -> Transformation:
    """Parse and judge the messages of a feed's topic.

    Args:
        judged_at: a timestamp; where given, event times over a day after it are invalid (only the live query judges
            by the clock; the history keeps such records, and the batch leaves out what the live query refused).

    Returns:
        A transformation of Kafka source rows (at least partition, offset, value: binary) into rows of
        partition: int, offset: long, value: binary as received, the feed's fields (all nullable),
        epoch_s: long, the event time in seconds since 1970, and reason: string, null if the record is valid.
        Fields and epoch_s of an invalid record mean nothing.
    """

    def transformation(messages: DataFrame) -> DataFrame:
        text = F.col("value").cast("string")
        parsed = F.from_json(text, _nullable(feed.schema), _STRICT_JSON)
        fields = feed.schema.names
        # Step by step: each step's columns are computed once per message, however often the next one uses them.
        return (
            messages.select("partition", "offset", "value", text.alias("text"), parsed.alias("event"))
            .select(
                "partition",
                "offset",
                "value",
                "text",
                *(F.col(f"event.{name}").alias(name) for name in fields),
            )
            .select("*", _proven_well_formed(feed).alias("proven"), F.expr(feed.epoch_seconds).alias("epoch_s"))
            .select("*", F.when(~F.col("proven"), _one_json_value(F.col("text"))).alias("json"))
            .select("*", *(_kind(name).alias(f"kind_{name}") for name in fields))
            .select("partition", "offset", "value", *fields, "epoch_s", _reason(feed, judged_at).alias("reason"))
        )

    return transformation


def _reason(feed: Feed, judged_at: Column | None) -> Column:
    rules = [(rule.reason, F.expr(rule.violated)) for rule in feed.rules]
    if judged_at is not None:
        rules.append((REFUSED_BY_CLOCK, F.col("epoch_s").cast(_EXACT) + F.lit(Decimal(0)) > _a_day_after(judged_at)))
    return F.coalesce(F.when(~F.col("proven"), _first(_malformations(feed))), _first(rules))


def _a_day_after(judged_at: Column) -> Column:
    # A whole number or a timestamp would become part of the generated code, which would be compiled anew for each
    # micro-batch. A decimal does not; the addition on the other side keeps the optimizer from undoing the cast.
    return F.unix_seconds(judged_at).cast(_EXACT) + F.lit(Decimal(_A_DAY_S))


def _proven_well_formed(feed: Feed) -> Column:
    """Cheap, and true only of a well-formed message; may be false of a well-formed one too.

    Spark's JSON reader is lenient in three ways that this rules out. It stops after the first JSON value: here the
    first closing brace must be the last character. It takes a number for a text: here each text field's name must be
    followed by a quote (inside a text that sequence would have backslashes, and there are no nested objects). It
    replaces malformed UTF-8.
    """
    text = F.col("text")
    present = [F.col(field.name).isNotNull() for field in feed.required]
    quoted = [_absent(field) | _quoted(field) for field in feed.texts]
    # Lists are rare; each is looked at closely. So is an optional number that the reader made nothing of.
    others = [
        _absent(field) if isinstance(field.dataType, ArrayType) else F.col(field.name).isNotNull() | _absent(field)
        for field in feed.schema
        if field.nullable and field not in feed.texts
    ]
    non_empty = [F.coalesce(F.col(field.name) != "", F.lit(True)) for field in feed.texts]
    return F.coalesce(
        _all(
            [
                *present,
                *non_empty,
                F.octet_length(text) <= MOST_CHARACTERS,
                F.instr(text, "}") == F.char_length(text),
                *quoted,
                *others,
                ~F.contains(text, F.lit("\\")),
                F.is_valid_utf8(text),
            ]
        ),
        F.lit(False),
    )


def _absent(field: StructField) -> Column:
    if not field.nullable:
        return F.lit(False)
    return F.col(field.name).isNull() & ~F.contains(F.col("text"), F.lit(f'"{field.name}"'))


def _quoted(field: StructField) -> Column:
    text = F.col("text")
    return F.contains(text, F.lit(f'"{field.name}":"')) | F.contains(text, F.lit(f'"{field.name}": "'))


def _one_json_value(text: Column) -> Column:
    """The text as a variant in the field ``value``; null unless the text is one JSON value and nothing else."""
    wrapped = F.try_parse_json(F.concat(F.lit('{"value":'), text, F.lit("}")))
    # A text that closes the one wrapping too early cannot close the other: together they leave one JSON value.
    alone = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]"))).isNotNull()
    return F.when(alone, wrapped)


def _kind(field: str) -> Column:
    """The JSON type of a field as Spark names it (BIGINT, STRING, VOID, ...); null without the field."""
    return F.schema_of_variant(F.try_variant_get("json", f"$.value.{field}", "variant"))


def _malformations(feed: Feed) -> list[tuple[str, Column]]:
    """All that can be wrong with a message, each reason with its condition, the most telling first."""
    text = F.col("text")
    is_object = F.schema_of_variant(F.try_variant_get("json", "$.value", "variant")).startswith("OBJECT")
    reasons = [
        ("tombstone", text.isNull()),
        ("not UTF-8", ~F.is_valid_utf8(text)),
        ("not JSON", F.col("json").isNull()),
        ("not a JSON object", ~is_object),
    ]
    for field in feed.schema:
        reasons += _field_faults(field)
    return reasons


def _field_faults(field: StructField) -> list[tuple[str, Column]]:
    kind, value = F.col(f"kind_{field.name}"), F.col(field.name)
    absent = kind.isNull() | (kind == "VOID")
    faults = [] if field.nullable else [(f"missing {field.name}", absent)]
    if isinstance(field.dataType, ArrayType):
        whole = kind.isin("ARRAY<BIGINT>", "ARRAY<VOID>")
        return [*faults, (f"{field.name} is not a list of whole numbers", ~absent & (~whole | value.isNull()))]
    if not isinstance(field.dataType, StringType):
        number = kind.startswith("DECIMAL") | kind.isin("DOUBLE", "FLOAT")
        return [
            *faults,
            (f"fractional or too large {field.name}", number),
            (f"{field.name} is not a whole number", ~absent & ((kind != "BIGINT") | value.isNull())),
        ]
    return [
        *faults,
        (f"{field.name} is not a text", ~absent & (kind != "STRING")),
        (f"empty {field.name}", value == ""),
        (f"{field.name} over {MOST_CHARACTERS} characters", F.char_length(value) > MOST_CHARACTERS),
        (f"NUL in {field.name}", F.contains(value, F.lit("\x00"))),
    ]


def _nullable(schema: StructType) -> StructType:
    return StructType([StructField(field.name, field.dataType, nullable=True) for field in schema])


def _all(conditions: Iterable[Column]) -> Column:
    return reduce(lambda one, other: one & other, conditions)


def _first(reasons: Iterable[tuple[str, Column]]) -> Column:
    """The reason of the first condition that holds, or null."""
    first, *rest = reasons
    return reduce(lambda case, reason: case.when(reason[1], reason[0]), rest, F.when(first[1], first[0]))
