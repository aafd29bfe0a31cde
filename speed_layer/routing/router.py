"""Sends what micro-batches became, after they were counted: each in one transaction of Kafka.

The transaction commits the messages together with the next offsets of the source topic, as offsets of a group of the
router's own. So Kafka knows exactly up to where messages were sent, whatever was killed when.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from confluent_kafka import KafkaError, TopicPartition
from sqlalchemy import Connection

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.feeds import Feed
from bytemeter.kafka import Kafka, Topic
from bytemeter.kafka_errors import transaction_refused
from bytemeter.logs import logger
from bytemeter.offset_log import Offsets
from bytemeter.sql import Statements
from bytemeter.transactions import TransactionalProducer, is_fenced
from speed_layer.executor.outgoing import keys_of

SQL = Statements(__package__, "routed.sql")
# Readers of a topic wait for the end of an open transaction: longer than this only if its process has died, until the
# next one starts.
_TIMEOUT_S = 60.0
_PATIENCE_S = 10.0
# What librdkafka takes: topics have limits of their own, of compressed messages.
_MOST_BYTES = 1_000_000_000
_ROWS_AT_ONCE = 5_000
_MOST_SENT_BYTES = 64 * 2**20


@dataclass
class Router:
    """What a feed's live query sends on.

    Key: the position of the message in the source topic. Delivery: exactly once for readers of committed messages
    (``isolation.level=read_committed``); others may read messages again of a transaction that was not committed, byte
    for byte the same.

    It follows the transactions of one connection: ``decide`` inside of one, ``send`` after its commit, ``forget`` after
    its rollback. After an error it must be discarded: a new one begins where Kafka says.

    Attributes:
        kafka: the cluster, of the source topic, too.
        sent: by partition the offset up to which messages are sent.
    """

    kafka: Kafka
    feed: Feed
    sent: dict[int, int] = field(default_factory=dict, init=False)
    _noted: dict[int, int] = field(default_factory=dict, init=False, repr=False)
    _ends: Offsets = field(default_factory=dict, init=False, repr=False)
    _decided: pa.Table | None = field(default=None, init=False, repr=False)
    # Whether what was decided may not be sent: nothing is noted any more.
    _failed: bool = field(default=False, init=False, repr=False)
    _producer: TransactionalProducer = field(init=False, repr=False)

    def __post_init__(self) -> None:
        name = self.kafka.topic_name(f"bytemeter-route-{self.feed.name}")
        self._producer = TransactionalProducer(
            self.kafka,
            name,
            self._explained,
            _TIMEOUT_S,
            patience_s=_PATIENCE_S,
            message_max_bytes=_MOST_BYTES,
            # A message that fails makes the commit fail.
            delivery_report_only_error=True,
        )
        self._name = name

    @property
    def source(self) -> str:
        """The source topic, with its prefix."""
        return self.kafka.topic_name(self.feed.topic)

    def begin(self, connection: Connection, topic: Topic) -> None:
        """Fence an earlier router of the feed, and learn how far it has come; call this once the feed's lease is held.

        Raises:
            TransientError: Kafka is away.
            BytemeterError: an ACL refuses transactions.
        """
        self._producer.fence()
        rows = connection.execute(SQL["routed_offsets"], {"feed": self.feed.name}).all()
        self._noted = {row.partition: row.next_offset for row in rows}
        asked = [TopicPartition(topic.name, partition) for partition in topic.latest]
        in_kafka = {found.partition: found.offset for found in self._producer.stored(asked) if found.offset >= 0}
        self.sent = {
            partition: max(in_kafka.get(partition, 0), self._noted.get(partition, 0))
            for partition in {*in_kafka, *self._noted}
        }

    def decide(self, connection: Connection, outgoing: pa.Table) -> None:
        """Take what a micro-batch became, to be sent after the commit; count it by topic.

        Args:
            outgoing: see ``speed_layer.executor.outgoing.OUTGOING``, without what duplicates would have sent.
        """
        self._decided = outgoing
        counts: dict[str, int] = defaultdict(int)
        for found in pc.value_counts(outgoing.column("topics")).to_pylist():
            for topic in found["values"].split():
                counts[topic] += found["counts"]
        if counts:
            rows = [{"feed": self.feed.name, "topic": topic, "messages": n} for topic, n in sorted(counts.items())]
            connection.execute(SQL["add_messages"], rows)

    def note(self, connection: Connection) -> None:
        """Note in a transaction how far messages have been sent, and read up to where its micro-batch goes."""
        if self._failed:
            return
        rows = connection.execute(SQL["counted_offsets"], {"feed": self.feed.name}).all()
        self._ends = {row.partition: row.next_offset for row in rows}
        if self._decided is None:
            # All that was counted is sent: the last offsets may be markers of transactions.
            self.sent |= self._ends
        moved = {p: offset for p, offset in self.sent.items() if offset != self._noted.get(p)}
        if moved:
            rows_ = [{"feed": self.feed.name, "partition": p, "next_offset": offset} for p, offset in moved.items()]
            connection.execute(SQL["note_routed"], rows_)

    def forget(self) -> None:
        """The transaction was rolled back: what it has decided is not to be sent."""
        self._decided = None

    def send(self) -> None:
        """The transaction was committed: send what it has decided.

        Raises:
            TransientError: Kafka did not take it; the next start reads the messages again and sends it.
            BytemeterError: an ACL refuses it.
        """
        self._noted = dict(self.sent)
        decided, self._decided = self._decided, None
        if decided is not None and decided.num_rows:
            self.send_decided(decided, self._ends)

    def send_decided(self, outgoing: pa.Table, ends: Offsets) -> None:
        """Send messages, and commit these offsets with them. What is sent already, by ``sent``, is left out.

        Many bytes are sent by several transactions, so that none takes longer than Kafka waits for it.

        Args:
            outgoing: see ``decide``.
            ends: by partition the next offset of the source topic.

        Raises:
            BytemeterError: see ``send``.
        """
        self._failed = True
        *before, last = stretches(outgoing, _MOST_SENT_BYTES)
        for rows in before:
            self._send(rows, _next_offsets(rows))
        self._send(last, ends)
        self._failed = False
        logger().info("routed", query=self.feed.name, messages=outgoing.num_rows, offsets=dict(ends))

    def _send(self, outgoing: pa.Table, ends: Offsets) -> None:
        self._producer.begin()
        for rows in outgoing.to_batches(_ROWS_AT_ONCE):
            self._produce(rows)
        self._producer.flush()
        reached = {p: offset for p, offset in ends.items() if offset > self.sent.get(p, 0)}
        self._producer.commit([TopicPartition(self.source, p, offset) for p, offset in reached.items()])
        self.sent |= reached

    def close(self) -> None:
        """Abort what is open, and leave."""
        self._producer.close()

    def _produce(self, rows: pa.RecordBatch) -> None:
        by_topic: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for partition, offset, topics, key, value, reason in self._unsent(rows):
            if reason is not None:
                headers = self._headers(partition, offset, reason)
                for topic in _names(topics):
                    self._producer.produce(self.kafka.topic_name(topic), key, value, headers)
                continue
            message = {"value": value, "key": key}
            for topic in _names(topics):
                by_topic[topic].append(message)
        for topic, messages in by_topic.items():
            self._producer.produce_batch(self.kafka.topic_name(topic), messages)

    def _unsent(self, rows: pa.RecordBatch) -> Iterator[tuple[Any, ...]]:
        columns = [rows.column(name).to_pylist() for name in rows.schema.names]
        for row in zip(*columns, strict=True):
            if row[1] >= self.sent.get(row[0], 0):
                yield row

    def _headers(self, partition: int, offset: int, reason: str) -> Sequence[tuple[str, bytes]]:
        values: Mapping[str, str] = {
            "reason": reason,
            "source-topic": self.source,
            "source-partition": str(partition),
            "source-offset": str(offset),
        }
        return [(name, text.encode()) for name, text in values.items()]

    def _explained(self, error: KafkaError) -> BytemeterError:
        if is_fenced(error):
            # A start finds out which of both it is: it needs the lease.
            return TransientError(
                f"Kafka takes nothing more of what became of {self.source} from this process: another one sends it, or "
                f"this one was silent for over {_TIMEOUT_S:g} s: {error.str()}"
            )
        if error.code() == KafkaError.MSG_SIZE_TOO_LARGE:
            return TransientError(
                f"Kafka at {self.kafka.servers} did not take what became of {self.source}: {error.str()}; run "
                "`bytemeter migrate`, which sets max.message.bytes of the topics; it is counted, and sent then"
            )
        return transaction_refused(error, self.source, self._name) or TransientError(
            f"Kafka at {self.kafka.servers} did not take what became of {self.source} within {_TIMEOUT_S:g} s: "
            f"{error.str()}; it is counted, and sent once Kafka is back"
        )


@cache
def _names(topics: str) -> list[str]:
    return topics.split()


def stretches(outgoing: pa.Table, most_bytes: int) -> list[pa.Table]:
    """Cut messages into tables of about so many bytes, of which none has a position that lies before one of an earlier
    table, in the same partition; all that became of a message is in one table."""
    if outgoing.nbytes <= most_bytes:
        return [outgoing]
    keys = keys_of(outgoing.column("partition").to_numpy(), outgoing.column("record_offset").to_numpy())
    order = np.argsort(keys, kind="stable")
    # All at once: each take from a table of many chunks would go through all of them.
    ordered = outgoing.take(order)
    number = np.cumsum(pc.fill_null(pc.binary_length(ordered.column("value")), 0).to_numpy()) // most_bytes
    # The number of a message is that of its first row.
    firsts = np.flatnonzero(np.diff(keys[order], prepend=-1))
    number = np.repeat(number[firsts], np.diff(np.append(firsts, len(order))))
    cuts = [0, *np.flatnonzero(np.diff(number)) + 1, len(order)]
    return [ordered.slice(start, end - start) for start, end in pairwise(cuts)]


def _next_offsets(outgoing: pa.Table) -> Offsets:
    """The offset after the last message of each partition."""
    latest = outgoing.group_by("partition").aggregate([("record_offset", "max")])
    columns = (latest.column(name).to_pylist() for name in ("partition", "record_offset_max"))
    return {partition: offset + 1 for partition, offset in zip(*columns, strict=True)}
