"""Reads a micro-batch of too many bytes in slices: Spark bounds its micro-batches by messages only."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pyspark.sql import DataFrame, SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.executors import Read
from bytemeter.kafka import Kafka, Topic
from bytemeter.logs import logger
from bytemeter.sampling import average, message_bytes
from bytemeter.source import between
from bytemeter.spark import BATCH_BYTES
from speed_layer.engine.live_query import FeedOffsets

Result = TypeVar("Result")
# What Spark makes of the messages at the offsets [start, end), read by its batch source. The third argument says about
# how many bytes a message has.
Between = Callable[[FeedOffsets, FeedOffsets, int], DataFrame]
# About how many bytes a message at the offsets [start, end) has; 0 if that is not known.
Sample = Callable[[FeedOffsets, FeedOffsets], float]

# Messages that were compressed to almost nothing can be too many for the heap before a task receives the first. In a
# session of this machine that fails the task only (see ``bytemeter.spark``).
_HEAP_IS_FULL = "java.lang.OutOfMemoryError"
_OFFSETS_AFTER_FULL_HEAP = 64
# Of so many messages a few are looked at first. To read fewer in vain costs about as little.
_OFFSETS_TO_SAMPLE = 20_000
# A micro-batch is read at once if each task is likely to read less than this share of its bound. Slices are smaller, so
# that few of them are tried in vain.
_READ_AT_ONCE, _IN_A_SLICE = 0.8, 0.5


class EndedEarlyError(BytemeterError):
    """All queries are to end, and slices of the micro-batch are left to the next start."""


@dataclass(frozen=True)
class Slice(Generic[Result]):
    """A part of a micro-batch, or all of it.

    Attributes:
        result: what was made of its messages.
        start, end: by feed and partition the first offset, and the offset after the last one.
    """

    result: Result
    start: FeedOffsets
    end: FeedOffsets


@dataclass(frozen=True)
class Bounds:
    """What a query may read at a time.

    Attributes:
        task_bytes: what a task may read; beyond it the task gives up.
        tasks: how many tasks share the messages.
        batch_bytes: what all of them may read together, as far as the messages before let it be foreseen.
    """

    task_bytes: int
    tasks: int
    batch_bytes: int

    @staticmethod
    def of(batch_bytes: int, cores: int, topics: int) -> Bounds:
        """The bounds of a query that reads so many topics.

        Each topic has a task per core, but tasks run one per core at a time, and topics seldom have as many messages
        as each other: so a task may read its core's share, whichever topic it reads.
        """
        return Bounds(max(batch_bytes // cores, BATCH_BYTES), topics * cores, max(batch_bytes, cores * BATCH_BYTES))


@dataclass
class Slices:
    """Cuts micro-batches into slices that tasks can read within their bound of bytes.

    A micro-batch is read as Spark hands it over, unless the messages before it, or a sample of its own, were so large
    that it would exceed the bound. Where a task gives up, less than half of what was tried is read by itself, then what
    follows it.

    Attributes:
        between: reads a slice.
        bounds: what tasks may read.
        sample: asked once, before the first micro-batch of many messages is read.
        ending: set when the query is to end: it ends after the slice that is being read.
    """

    between: Between
    bounds: Bounds
    sample: Sample = lambda *_: 0.0
    ending: threading.Event = field(default_factory=threading.Event)
    _message_bytes: int = field(default=0, init=False)
    # Foreseen, of the largest task and of all tasks together; 0: not known.
    _task_bytes_per_message: float = field(default=0.0, init=False)
    _batch_bytes_per_message: float = field(default=0.0, init=False)

    @classmethod
    def of_topics(
        cls,
        session: SparkSession,
        kafka: Kafka,
        topics: Mapping[str, Topic],
        made_of: Callable[[Mapping[str, DataFrame]], DataFrame],
        bounds: Bounds,
        ending: threading.Event,
    ) -> Slices:
        """Slices of the micro-batches of a query.

        Args:
            topics: by feed name.
            made_of: what the query makes of messages, by feed name.
        """

        def read(start: FeedOffsets, end: FeedOffsets, message_bytes: int) -> DataFrame:
            messages = {
                feed: between(session, kafka, topic.name, start[feed], end[feed], message_bytes=message_bytes)
                for feed, topic in topics.items()
            }
            return made_of(messages)

        def sample(start: FeedOffsets, end: FeedOffsets) -> float:
            sizes = {feed: message_bytes(kafka, topic.name, start[feed], end[feed]) for feed, topic in topics.items()}
            return average(sizes, {feed: length({feed: start[feed]}, {feed: end[feed]}) for feed in topics})

        return cls(read, bounds, sample, ending)

    def read(
        self,
        rows: DataFrame,
        start: FeedOffsets,
        end: FeedOffsets,
        evaluate: Callable[[DataFrame], tuple[Result, Read]],
    ) -> Iterator[Slice[Result]]:
        """Read a micro-batch, one slice after the other; an empty micro-batch is one slice, too.

        Args:
            rows: of the whole micro-batch.
            start, end: of the micro-batch; partitions without a start begin at 0.
            evaluate: runs the job of a slice.

        Raises:
            EndedEarlyError: the query is to end, and this is not the last slice. Spark must not go on to the next
                micro-batch, which would start behind the slices that were left out.
        """
        begin = start
        if not self._message_bytes and length(start, end) > _OFFSETS_TO_SAMPLE:
            self._foresee(self.sample(start, end))
        while True:
            until = self._next_end(begin, end)
            is_whole = (begin, until) == (start, end)
            piece = self._evaluated(
                rows if is_whole else self.between(begin, until, self._message_bytes), begin, until, evaluate
            )
            if piece:
                yield piece
                if until == end:
                    return
                begin = until
            if self.ending.is_set():
                raise EndedEarlyError(f"the query ends before the offsets {end}; its next start goes on at {begin}")

    def _evaluated(
        self,
        rows: DataFrame,
        start: FeedOffsets,
        end: FeedOffsets,
        evaluate: Callable[[DataFrame], tuple[Result, Read]],
    ) -> Slice[Result] | None:
        """The slice; None if a task gave up, or if its messages did not fit into the heap of the JVM."""
        try:
            result, read = evaluate(rows)
        except Exception as error:
            if _HEAP_IS_FULL not in str(error) or length(start, end) <= _OFFSETS_AFTER_FULL_HEAP:
                raise
            self._assume_large()
            logger().warning("heap is full", offsets=end)
            return None
        self._observe(read)
        if not read.gave_up:
            return Slice(result, start, end)
        logger().info("too large", offsets=end, messages_read=read.messages, task_bytes=self.bounds.task_bytes)
        return None

    def _foresee(self, message_bytes: float) -> None:
        self._message_bytes = round(message_bytes)
        self._task_bytes_per_message = message_bytes / self.bounds.tasks
        self._batch_bytes_per_message = message_bytes

    def _assume_large(self) -> None:
        self._message_bytes = self.bounds.task_bytes
        self._task_bytes_per_message = _IN_A_SLICE * self.bounds.task_bytes / _OFFSETS_AFTER_FULL_HEAP
        self._batch_bytes_per_message = 0.0

    def _observe(self, read: Read) -> None:
        if not read.messages:
            return
        self._message_bytes = read.bytes // read.messages
        # How evenly the tasks share the messages shows only where there are many.
        shared_evenly = read.most_bytes < self.bounds.task_bytes / 4
        largest = read.bytes / self.bounds.tasks if shared_evenly else read.most_bytes
        self._task_bytes_per_message = largest / read.messages
        self._batch_bytes_per_message = read.bytes / read.messages

    def _next_end(self, start: FeedOffsets, end: FeedOffsets) -> FeedOffsets:
        if not self._task_bytes_per_message:
            return end
        offsets, bounds = length(start, end), self.bounds
        of_task = offsets * self._task_bytes_per_message / bounds.task_bytes
        of_batch = offsets * self._batch_bytes_per_message / bounds.batch_bytes
        if of_task <= _READ_AT_ONCE and of_batch <= 1:
            return end
        return cut(start, end, max(1, int(_IN_A_SLICE * offsets / max(of_task, of_batch))))


def length(start: FeedOffsets, end: FeedOffsets) -> int:
    """How many offsets lie in [start, end), over all partitions."""
    return sum(
        offset - start[feed].get(partition, 0) for feed, offsets in end.items() for partition, offset in offsets.items()
    )


def cut(start: FeedOffsets, end: FeedOffsets, count: int) -> FeedOffsets:
    """The end of the first ``count`` offsets in [start, end), which are taken from all partitions in proportion."""
    total, passed = length(start, end), 0
    middle: dict[str, dict[int, int]] = {}
    for feed, offsets in end.items():
        middle[feed] = {}
        for partition, offset in offsets.items():
            begin = start[feed].get(partition, 0)
            before, passed = passed, passed + offset - begin
            middle[feed][partition] = begin + passed * count // total - before * count // total
    return middle
