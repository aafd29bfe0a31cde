"""A micro-batch as rows to be staged: one pass over its messages, one aggregation.

Each message becomes a few facts, and equal facts are added up: a total for each dimension (kind 1), the account of its
partition (kind 0), and, each alone in its group, invalid messages as received (kind 2) and records that carry an
event id (kind 3), whose repeats only PostgreSQL can tell.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import (
    ArrayType,
    BinaryType,
    DataType,
    IntegerType,
    LongType,
    ShortType,
    StringType,
)

from bytemeter.aggregations import keyed_facts, window_start
from bytemeter.feeds.feed import WINDOW_S, Feed
from bytemeter.parsing import REFUSED_BY_CLOCK, Transformation

ACCOUNT, TOTAL, INVALID, IDENTIFIED = range(4)

_KEY: dict[str, DataType] = {
    "kind": ShortType(),
    "type": StringType(),
    "id": StringType(),
    "window_s": LongType(),
    "partition": IntegerType(),
    "record_offset": LongType(),
    "payload": BinaryType(),
    "id_hash": BinaryType(),
    "content_hash": LongType(),
    "ids": ArrayType(StringType()),
}


def facts(feed: Feed) -> Transformation:
    """Turn parsed messages into facts.

    Returns:
        A transformation of parsed messages (see ``bytemeter.parsing.parse``) into the key columns of ``add_up``,
        measure: long and epoch_s: long, both null for facts of invalid messages.
    """

    def transformation(parsed: DataFrame) -> DataFrame:
        valid = F.col("reason").isNull()
        account = _fact(kind=F.lit(ACCOUNT), partition=F.col("partition"))
        of_message = F.when(~valid, F.array(account, _invalid()))
        if feed.event_id:
            identified = F.array(account, *_totals(feed), _identified(feed, feed.event_id))
            of_message = of_message.when(F.col(feed.event_id).isNotNull(), identified)
        exploded = parsed.select(
            F.explode(of_message.otherwise(F.array(account, *_totals(feed)))).alias("fact"),
            F.when(valid, F.col(feed.usage.measure)).alias("measure"),
            F.when(valid, F.col("epoch_s")).alias("epoch_s"),
        )
        return exploded.select("fact.*", "measure", "epoch_s")

    return transformation


def add_up(found: DataFrame) -> DataFrame:
    """Add up equal facts into rows of the table ``staged``, less its attempt.

    Returns:
        Rows of all key columns, value: long, records: long and latest_s: long. By kind, what is not null:

        - account: partition; records (received), latest_s (latest event time of a valid record, epoch seconds)
        - total: type, id, window_s; value, records
        - invalid: type (the reason), partition, record_offset, payload; window_s, here the event time, only of a
          record that is well-formed and was refused by the clock
        - identified: window_s, partition, record_offset, id_hash (16 bytes), content_hash, ids (one per dimension,
          in the feed's order); value, latest_s
    """
    return found.groupBy(*_KEY).agg(
        F.sum("measure").alias("value"),
        F.count(F.lit(1)).alias("records"),
        F.max("epoch_s").alias("latest_s"),
    )


def _totals(feed: Feed) -> list[Column]:
    return [
        _fact(kind=F.lit(TOTAL), **{name: fact[name] for name in ("type", "id", "window_s")})
        for fact in keyed_facts(feed, window_start(WINDOW_S))
    ]


def _invalid() -> Column:
    return _fact(
        kind=F.lit(INVALID),
        type=F.col("reason"),
        window_s=F.when(F.col("reason") == REFUSED_BY_CLOCK, F.col("epoch_s")),
        partition=F.col("partition"),
        record_offset=F.col("offset"),
        payload=F.col("value"),
    )


def _identified(feed: Feed, event_id: str) -> Column:
    content = [F.col(name) for name in feed.content]
    return _fact(
        kind=F.lit(IDENTIFIED),
        window_s=window_start(WINDOW_S),
        partition=F.col("partition"),
        record_offset=F.col("offset"),
        id_hash=F.unhex(F.md5(F.col(event_id))),
        content_hash=F.xxhash64(*content),
        ids=F.array(*(F.col(dimension.column) for dimension in feed.usage.dimensions)),
    )


def _fact(**values: Column) -> Column:
    absent = F.lit(None)
    return F.struct(*(values.get(name, absent).cast(type_).alias(name) for name, type_ in _KEY.items()))
