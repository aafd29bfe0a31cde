"""What was received of a feed in a micro-batch: the account of each partition, and messages that are invalid."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column
from pyspark.sql import functions as F
from sqlalchemy import Connection

from bytemeter.feeds import Feed
from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.copying import copy
from speed_layer.live_query import Account


def received() -> list[Column]:
    """Columns of parsed messages (see ``bytemeter.parsing.parse``) that the functions below look at.

    partition: int, record_offset: long, reason: string and payload: binary of an invalid message, valid_s: long, the
    event time (epoch seconds) of a valid record, and refused_s: long, that of a record refused by the clock.
    """
    reason, epoch_s = F.col("reason"), F.col("epoch_s")
    return [
        F.col("partition"),
        F.col("offset").alias("record_offset"),
        reason,
        F.when(reason.isNotNull(), F.col("value")).alias("payload"),
        F.when(reason.isNull(), epoch_s).alias("valid_s"),
        F.when(reason == REFUSED_BY_CLOCK, epoch_s).alias("refused_s"),
    ]


def identity(feed: Feed, event_id: str) -> list[Column]:
    """By what a repeat of a record is told: event_us: long (event time in microseconds), id_hash: binary (16 bytes,
    null without an id) and content_hash: long. Those of an invalid message mean nothing.
    """
    # The time of an invalid message can be any number: only that of a valid one is sure not to overflow.
    micros = F.col("epoch_us") if feed.epoch_micros else F.when(F.col("reason").isNull(), F.col("epoch_s") * 1_000_000)
    return [
        micros.alias("event_us"),
        F.unhex(F.md5(event_id)).alias("id_hash"),
        F.xxhash64(*feed.content).alias("content_hash"),
    ]


def valid(rows: pa.Table) -> pa.Table:
    """The rows of valid records."""
    return rows if rows.column("reason").null_count == rows.num_rows else rows.filter(pc.is_null(rows.column("reason")))


def accounts(feed: str, rows: pa.Table) -> list[Account]:
    """For each partition the messages received, and the invalid ones among them."""
    counted = rows.group_by("partition").aggregate(
        [("record_offset", "count"), ("reason", "count"), ("valid_s", "max")]
    )
    columns = (counted.column(name).to_pylist() for name in counted.column_names)
    return [
        Account(feed, partition, received=received, invalid=invalid, latest_s=latest_s)
        for partition, received, invalid, latest_s in zip(*columns, strict=True)
    ]


def repeated(feed: str, repeats: pa.Table) -> list[Account]:
    """For each partition how many of its messages were repeats."""
    counted = pc.value_counts(repeats.column("partition")).to_pylist()
    return [Account(feed, found["values"], duplicate=found["counts"]) for found in counted]


def list_invalid(connection: Connection, feed: str, rows: pa.Table) -> None:
    """Keep the invalid messages as received; with an event time only the well-formed that the clock refused."""
    invalid = rows.filter(pc.is_valid(rows.column("reason")))
    if not invalid.num_rows:
        return
    payload = pa.array(
        [None if value is None else f"\\x{value.hex()}" for value in invalid.column("payload").to_pylist()], pa.string()
    )
    listed = {
        "feed": pa.array([feed] * invalid.num_rows),
        "partition": invalid.column("partition"),
        "record_offset": invalid.column("record_offset"),
        "reason": invalid.column("reason"),
        "payload": payload,
        "event_time": invalid.column("refused_s").cast(pa.timestamp("s", "UTC")),
    }
    copy(connection, "invalid_events", pa.table(listed))
