"""Kafka messages into records: parsed and judged, nothing repaired, nothing dropped.

Both layers' queries start here. A message takes the fast path if a few cheap predicates prove it good; only one that
does not is looked at closely, to tell the reason or to find that it was good after all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from bytemeter.feeds.feed import Feed

MOST_CHARACTERS = 512
REFUSED_BY_CLOCK = "timestamp over a day in the future"
_A_DAY_S = 86_400
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
        epoch_s: long, the event time in seconds since 1970, of a feed with such times epoch_us: long, the same in
        microseconds, and reason: string, null if the record is valid. Fields and times of an invalid record mean
        nothing.
    """

    def transformation(messages: DataFrame) -> DataFrame:
        parsed = F.from_json(_text(), _nullable(feed.schema), _STRICT_JSON)
        # Step by step: each step's columns are computed once per message, however often the next one uses them.
        return (
            messages.select("partition", "offset", "value", parsed.alias("event"))
            .select("partition", "offset", "value", *(F.col(f"event.{name}").alias(name) for name in feed.schema.names))
            .select("*", *([F.expr(feed.epoch_micros).alias("epoch_us")] if feed.epoch_micros else []))
            .select("*", F.expr(feed.epoch_seconds).alias("epoch_s"))
            .select("*", _reason(feed, judged_at).alias("reason"))
        )

    return transformation


def _text() -> Column:
    return F.col("value").cast("string")


def _reason(feed: Feed, judged_at: Column | None) -> Column:
    rules = [(rule.reason, F.expr(rule.violated)) for rule in feed.rules]
    if judged_at is not None:
        # The clock would become part of the generated code, which would be compiled anew for each micro-batch.
        ahead = _let(F.col("epoch_s"), lambda epoch_s: epoch_s > F.unix_seconds(judged_at) + _A_DAY_S)
        rules.append((REFUSED_BY_CLOCK, ahead))
    proven = F.coalesce(_canonical(feed) | _plain(feed), F.lit(False))
    return F.coalesce(F.when(~proven, _malformation(feed)), _first(rules))


def _canonical(feed: Feed) -> Column:
    """Whether a message is, byte by byte, what its fields would be written as: in the schema's order, without spaces.

    Then it is well-formed: whatever Spark's JSON reader is lenient about, or decodes, would make a difference. The
    cheapest proof, and the one that most messages have; null or false says nothing.
    """
    written: list[Column] = []
    for number, field in enumerate(feed.schema):
        value, name = F.col(field.name), f'{"," if number else "{"}"{field.name}":'
        if field in feed.texts:
            member = F.concat(F.lit(f'{name}"'), value, F.lit('"'))
        elif isinstance(field.dataType, ArrayType):
            member = F.concat(F.lit(name), F.replace(value.cast("string"), F.lit(", "), F.lit(",")))
        else:
            member = F.concat(F.lit(name), value.cast("string"))
        written.append(F.coalesce(member, F.lit("")) if field.nullable else member)
    return _all([F.concat(*written, F.lit("}")) == _text(), *_short_and_non_empty(feed)])


def _plain(feed: Feed) -> Column:
    """Cheap predicates that only a well-formed message fulfills, in whatever order its fields are.

    Spark's JSON reader is lenient in three ways that this rules out. It stops after the first JSON value: here the
    first closing brace must be the last character. It takes a number for a text: here each text field's name must be
    followed by a quote (inside a text that sequence would have backslashes, and there are no nested objects). It
    replaces malformed UTF-8.
    """
    present = [F.col(field.name).isNotNull() for field in feed.required]
    quoted = [_absent(field) | _quoted(field) for field in feed.texts]
    # Lists are rare; each is looked at closely. So is an optional number that the reader made nothing of.
    others = [
        _absent(field) if isinstance(field.dataType, ArrayType) else F.col(field.name).isNotNull() | _absent(field)
        for field in feed.schema
        if field.nullable and field not in feed.texts
    ]
    return _all(
        [
            *present,
            *_short_and_non_empty(feed),
            F.octet_length(F.substring_index(_text(), "}", 1)) + 1 == F.octet_length(_text()),
            *quoted,
            *others,
            ~F.contains(_text(), F.lit("\\")),
            F.is_valid_utf8(_text()),
        ]
    )


def _short_and_non_empty(feed: Feed) -> list[Column]:
    non_empty = [F.coalesce(F.col(field.name) != "", F.lit(True)) for field in feed.texts]
    return [F.octet_length(_text()) <= MOST_CHARACTERS, *non_empty]


def _absent(field: StructField) -> Column:
    if not field.nullable:
        return F.lit(False)
    return F.col(field.name).isNull() & ~F.contains(_text(), F.lit(f'"{field.name}"'))


def _quoted(field: StructField) -> Column:
    return F.contains(_text(), F.lit(f'"{field.name}":"')) | F.contains(_text(), F.lit(f'"{field.name}": "'))


def _malformation(feed: Feed) -> Column:
    """What is wrong with the message, or null if nothing is. Slow, and evaluated only for the few that need it."""
    # A lambda's argument is computed once, and its body is not made part of the generated code.
    return _let(
        _one_json_value(_text()),
        lambda json: _let(_kinds(feed, json), lambda kinds: _first(_malformations(feed, json, kinds))),
    )


def _let(value: Column, body: Callable[[Column], Column]) -> Column:
    return F.transform(F.array(value), body)[0]


def _one_json_value(text: Column) -> Column:
    """The text as a variant in the field ``value``; null unless the text is one JSON value and nothing else."""
    wrapped = F.try_parse_json(F.concat(F.lit('{"value":'), text, F.lit("}")))
    # A text that closes the one wrapping too early cannot close the other: together they leave one JSON value.
    alone = F.try_parse_json(F.concat(F.lit("["), text, F.lit("]"))).isNotNull()
    return F.when(alone, wrapped)


def _kinds(feed: Feed, json: Column) -> Column:
    """A struct of the fields' JSON types as Spark names them (BIGINT, STRING, VOID, ...); null without the field."""
    return F.struct(*(_kind(json, f"$.value.{name}").alias(name) for name in feed.schema.names))


def _kind(json: Column, path: str) -> Column:
    return F.schema_of_variant(F.try_variant_get(json, path, "variant"))


def _malformations(feed: Feed, json: Column, kinds: Column) -> list[tuple[str, Column]]:
    """All that can be wrong with a message, each reason with its condition, the most telling first."""
    reasons = [
        ("tombstone", _text().isNull()),
        ("not UTF-8", ~F.is_valid_utf8(_text())),
        ("not JSON", json.isNull()),
        ("not a JSON object", ~_kind(json, "$.value").startswith("OBJECT")),
    ]
    for field in feed.schema:
        reasons += _field_faults(field, kinds[field.name])
    return reasons


def _field_faults(field: StructField, kind: Column) -> list[tuple[str, Column]]:
    value = F.col(field.name)
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
