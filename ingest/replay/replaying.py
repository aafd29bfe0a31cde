"""Sends again what failed of a stretch of time and is valid by the present schemas."""

from __future__ import annotations

import datetime as dt
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from bytemeter.feeds import Feed
from bytemeter.history.table import History, InvalidMessages
from bytemeter.kafka import Kafka
from bytemeter.parsing import parse
from bytemeter.postgres import database
from bytemeter.settings import Settings
from ingest.replay.notes import Notes, Position, Stretch
from ingest.replay.sending import Message, Sending

# What is judged, and sent in one transaction, at most.
_MESSAGES_AT_ONCE, _BYTES_AT_ONCE = 1_000, 16 * 2**20
_MOST_REASONS = 10


@dataclass
class Replayed:
    """What a replay has done.

    Attributes:
        sent: failed messages that are valid now, and were sent.
        failing: failed messages that are still invalid, by their present reasons.
        before: failed messages of the stretch that an earlier replay has sent again.
        absent: failed messages that the history of invalid messages does not have yet.
        passed, waiting: valid records of the stretch, by their event times: judged live already, and not yet.
    """

    sent: int = 0
    failing: Counter[str] = field(default_factory=Counter)
    before: int = 0
    absent: int = 0
    passed: int | None = None
    waiting: int = 0

    def lines(self, topic: str) -> Iterator[str]:
        """The figures in words."""
        failing = sum(self.failing.values())
        yield f"{self.sent} of {self.sent + failing + self.absent} failed messages pass now and were sent to {topic}"
        if failing:
            yield f"{failing} still fail and were not sent:"
        for reason, count in self.failing.most_common(_MOST_REASONS):
            yield f"  {count} {reason}"
        if len(self.failing) > _MOST_REASONS:
            yield f"  and {len(self.failing) - _MOST_REASONS} other reasons"
        if self.before:
            yield f"{self.before} were sent again before"
        if self.absent:
            yield f"{self.absent} are not in the history yet; run it again once `bytemeter stream` has written them"
        if self.passed is not None:
            yield f"{self.passed} valid records of that time passed before, and were not sent again"
        if self.waiting:
            yield f"{self.waiting} valid records wait for the live query"


@dataclass(frozen=True)
class Replay:
    """Sends the failed messages of a feed again.

    Delivery: each message once for readers of committed messages, however often and by whomever replays are run.

    Attributes:
        feed: with the schemas by which messages are judged now.
        clock: the present instant, in UTC.
        stop: set to end after the transaction that runs.
    """

    settings: Settings
    session: SparkSession
    feed: Feed
    clock: Callable[[], dt.datetime]
    stop: threading.Event

    def run(self, stretch: Stretch, *, only_failed: bool) -> Replayed:
        """Replay a stretch of time: messages that were refused within it.

        Args:
            only_failed: leave out how many valid records of the stretch passed before.

        Raises:
            BytemeterError: Kafka, PostgreSQL or the history refuses something.
            TransientError: a server is away.
        """
        notes = Notes(database(self.settings.require_database_url()), self.feed.name)
        replayed = Replayed()
        with closing(Sending(Kafka(self.settings), self.feed)) as sending:
            notes.settle(sending.last_number())
            candidates = notes.candidates(stretch)
            found = 0
            for messages in self._chunks(candidates):
                if self.stop.is_set():
                    break
                found += len(messages)
                self._send_valid(messages, notes, sending, replayed)
        if not self.stop.is_set():
            replayed.absent = len(candidates) - found
        replayed.before = notes.replayed(stretch) - replayed.sent
        if not only_failed:
            self._count_valid(stretch, notes, replayed)
        return replayed

    def _send_valid(self, messages: list[Message], notes: Notes, sending: Sending, replayed: Replayed) -> None:
        """Judge messages, and send the valid ones."""
        valid: list[Message] = []
        for message, reason in zip(messages, self._reasons(messages), strict=True):
            if reason is None:
                valid.append(message)
            else:
                replayed.failing[reason] += 1
        if not valid:
            return
        # Unique among all replays, whoever runs them.
        number = round(1_000_000 * self.clock().timestamp())
        notes.intend(number, [(message.partition, message.offset) for message in valid])
        sending.send(valid, number)
        notes.settle(number)
        replayed.sent += len(valid)

    def _reasons(self, messages: Sequence[Message]) -> list[str | None]:
        table = pa.table(
            {
                "partition": pa.array([message.partition for message in messages], pa.int32()),
                "offset": pa.array([message.offset for message in messages], pa.int64()),
                "value": pa.array([message.value for message in messages], pa.binary()),
            }
        )
        now_us = round(1_000_000 * self.clock().timestamp())
        reasons: list[str | None] = parse(self.feed, table, now_us=now_us).column("reason").to_pylist()
        return reasons

    def _chunks(self, candidates: Sequence[Position]) -> Iterator[list[Message]]:
        """The candidates' messages as they were received, some at a time."""
        chunk: list[Message] = []
        size = 0
        for message in self._received(candidates):
            chunk.append(message)
            size += len(message.value or b"")
            if len(chunk) >= _MESSAGES_AT_ONCE or size >= _BYTES_AT_ONCE:
                yield chunk
                chunk, size = [], 0
        if chunk:
            yield chunk

    def _received(self, candidates: Sequence[Position]) -> Iterator[Message]:
        table = InvalidMessages(self.session, self.settings.require_history(), self.feed)
        if not (candidates and table.exists()):
            return
        wanted = set(candidates)
        rows = table.read().where(_within(candidates)).select("partition", "offset", "key", "value")
        for row in rows.orderBy("partition", "offset").toLocalIterator():
            if (row.partition, row.offset) in wanted:
                yield Message(row.partition, row.offset, _bytes(row.key), _bytes(row.value))

    def _count_valid(self, stretch: Stretch, notes: Notes, replayed: Replayed) -> None:
        history = History(self.session, self.settings.require_history(), self.feed)
        replayed.passed = 0
        if not history.exists():
            return
        for is_judged, count in _counts(history.read(), stretch, notes.next_offsets()):
            if is_judged:
                replayed.passed = count - notes.refused(stretch)
            else:
                replayed.waiting = count


def _counts(records: DataFrame, stretch: Stretch, judged: dict[int, int]) -> Iterator[tuple[bool, int]]:
    """How many records of a stretch of event time lie below these offsets, and so were judged live, and above."""
    dates = F.col("event_date").between(stretch.since.date(), stretch.until.date())
    times = (F.col("event_time") >= stretch.since) & (F.col("event_time") < stretch.until)
    is_judged = F.lit(False)
    for partition, offset in judged.items():
        is_judged |= (F.col("partition") == partition) & (F.col("offset") < offset)
    counted = records.where(dates & times).groupBy(is_judged.alias("is_judged")).count()
    yield from ((row["is_judged"], row["count"]) for row in counted.collect())


def _within(positions: Sequence[Position]) -> Column:
    """Whether a row is near the positions: between the first and the last of its partition."""
    ends: dict[int, tuple[int, int]] = {}
    for partition, offset in positions:
        first, last = ends.get(partition, (offset, offset))
        ends[partition] = (min(first, offset), max(last, offset))
    near = F.lit(False)
    for partition, (first, last) in ends.items():
        near |= (F.col("partition") == partition) & F.col("offset").between(first, last)
    return near


def _bytes(value: bytearray | None) -> bytes | None:
    return None if value is None else bytes(value)
