"""Sends at a start what was counted and not sent: an earlier process ended, or lost Kafka, after its commit."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame
from sqlalchemy import Connection, Engine

from bytemeter.executors import Read
from bytemeter.kafka import Topic
from bytemeter.logs import logger
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors
from speed_layer.engine.slices import Slices
from speed_layer.executor.blocks import NO_MESSAGES, Parts, ToParts, messages_to_blocks, parts_from_blocks
from speed_layer.executor.outgoing import Decided, keys_of
from speed_layer.routing.query import Keys, RoutedQuery
from speed_layer.routing.router import SQL

# The slices of a query that makes such rows of messages, by feed name.
SlicesOf = Callable[[Callable[[Mapping[str, DataFrame]], DataFrame]], Slices]
_AS_MOST_MESSAGES = 1_024


def catch_up(
    query: RoutedQuery, engine: Engine, topic: Topic, counted: Offsets, slices_of: SlicesOf, task_bytes: int
) -> None:
    """Begin to route a feed: fence an earlier process, read again what it has not sent, and send it.

    PostgreSQL holds what was decided. The lease of the feed must be held.

    Args:
        topic: of the feed.
        counted: by partition the next offset to count.
        slices_of: reads the source topic in slices.
        task_bytes: what a task may read.

    Raises:
        TransientError: a server cannot be reached.
        BytemeterError: Kafka has deleted messages that were not sent yet, or an ACL refuses transactions.
    """
    router, feed = query.router, query.name
    with one_line_errors(engine.url), engine.begin() as connection:
        router.begin(connection, topic)
        begun = topic.resume_offsets(
            router.sent, sink=f"what is sent of {feed}", remedy="restore the topic, or delete its row in routed"
        )
        start = {p: min(begun.get(p, 0), end) for p, end in counted.items()}
        if start == counted:
            return
        decided, duplicates = _decisions(connection, feed, start, counted)
    logger().info("catching up", query=feed, start=start, end=counted)
    to_parts = query.to_parts_again(decided)
    slices = slices_of(lambda messages: messages_to_blocks(messages[feed], to_parts, task_bytes=task_bytes))
    rows = slices.between({feed: start}, {feed: counted}, _AS_MOST_MESSAGES)
    for piece in slices.read(rows, {feed: start}, {feed: counted}, partial(_outgoing, to_parts)):
        with one_line_errors(engine.url), engine.begin() as connection:
            outgoing = query.to_send(connection, piece.result, duplicates)
        router.send_decided(outgoing, piece.end[feed])


def _decisions(connection: Connection, feed: str, start: Offsets, end: Offsets) -> tuple[Decided, Keys]:
    """What was decided of the messages at the offsets [start, end): the invalid ones, and the duplicates."""
    positions: list[tuple[int, int]] = []
    reasons: list[str] = []
    duplicates: list[Keys] = [np.empty(0, np.int64)]
    for partition, last in end.items():
        stretch = {"feed": feed, "partition": partition, "start": start[partition], "end": last}
        offsets = np.array(connection.scalars(SQL["duplicates_between"], stretch).all(), np.int64)
        duplicates.append(keys_of(np.full(len(offsets), partition), offsets))
        for row in connection.execute(SQL["invalid_between"], stretch):
            positions.append((partition, row.record_offset))
            reasons.append(row.reason)
    return Decided(positions, reasons), np.concatenate(duplicates)


def _outgoing(to_parts: ToParts, blocks: DataFrame) -> tuple[pa.Table, Read]:
    """Run the job of a slice."""
    rows = blocks.toArrow()
    found = zip(rows.column("part").to_pylist(), rows.column("block"), strict=True)
    empty: Parts = to_parts(NO_MESSAGES)
    parts = parts_from_blocks(((part, block) for part, block in found if part is not None), empty)
    return parts["outgoing"], Read.of(rows.column("read").to_pylist())
