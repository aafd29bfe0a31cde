"""What a stage makes of messages: the messages to send, as a part; runs on executors, all but ``Stage.repeated``."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import Feed
from bytemeter.parsing import parse, received_us
from bytemeter.parsing.single import REASON
from bytemeter.telemetry.outgoing import Outgoing
from speed_layer.executor.blocks import Parts
from speed_layer.executor.totals import parts_of_records

# partition, record_offset: of the message from which this one was made. topics: separated by spaces, without the topic
# prefix; empty where nothing is sent. reason: why it failed.
OUTGOING = pa.schema(
    [
        ("partition", pa.int32()),
        ("record_offset", pa.int64()),
        ("topics", pa.string()),
        ("key", pa.binary()),
        ("value", pa.binary()),
        ("reason", pa.string()),
    ]
)
_MOST_OFFSET_BITS = 44


class Stage(Protocol):
    """What a live query makes of a feed's messages, to be sent on. Spark pickles it."""

    @property
    def feed(self) -> Feed:
        """The feed whose messages it gets."""

    def sent_of(self, records: pa.Table) -> Iterator[tuple[int, Outgoing]]:
        """What is sent of records if none is a duplicate; at least one message for each, or one without topics.

        It is made again after a crash, and has to be byte for byte the same: no clock, nothing random.

        Args:
            records: see ``bytemeter.parsing.parse``, valid and invalid ones, with received_us: long, when Kafka
                received the message.

        Returns:
            The row of a record and a message, rows ascending.
        """

    def repeated(self, key: bytes | None, value: bytes) -> Outgoing:
        """What is sent of a duplicate, in place of all that ``sent_of`` made.

        Args:
            key, value: of the first message that ``sent_of`` made.
        """


class Decided:
    """What PostgreSQL holds of messages that were counted and are read again: which were invalid, and why.

    A schema may have been mended since, and the clock has gone on: neither may change what becomes of a message.
    """

    def __init__(self, positions: Iterable[tuple[int, int]], reasons: Iterable[str]) -> None:
        """Make it of the positions of invalid messages, and their reasons."""
        partitions, offsets = np.array(list(positions), np.int64).reshape(-1, 2).T
        self._keys = pa.array(keys_of(partitions, offsets))
        self._reasons = pa.array(list(reasons), pa.string())

    def apply(self, records: pa.Table) -> pa.Table:
        """The records with these reasons in place of their own."""
        keys = keys_of(records.column("partition").to_numpy(), records.column("offset").to_numpy())
        reasons = self._reasons.take(pc.index_in(pa.array(keys), value_set=self._keys))
        return records.set_column(records.schema.get_field_index(REASON), REASON, reasons)


def keys_of(partitions: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Positions as one number each."""
    return partitions.astype(np.int64) << _MOST_OFFSET_BITS | offsets.astype(np.int64)


def stage_parts(stage: Stage, messages: pa.Table) -> Parts:
    """Parse, judge and add up messages, and make the messages to send.

    Returns:
        The parts of ``speed_layer.executor.totals.totals_parts``, and outgoing: see ``OUTGOING``.
    """
    records = parse(stage.feed, messages, now_us=time.time_ns() // 1_000)
    return {**parts_of_records(stage.feed, records), "outgoing": _outgoing(stage, messages, records)}


def outgoing_again(stage: Stage, decided: Decided, messages: pa.Table) -> Parts:
    """What is to be sent of messages that were counted; only the part outgoing."""
    return {"outgoing": _outgoing(stage, messages, decided.apply(parse(stage.feed, messages)))}


def _outgoing(stage: Stage, messages: pa.Table, records: pa.Table) -> pa.Table:
    made = list(stage.sent_of(records.append_column("received_us", received_us(messages))))
    if not made:
        return OUTGOING.empty_table()
    rows, sent = zip(*made, strict=True)
    topics, keys, values, reasons = zip(*sent, strict=True)
    columns = {
        "partition": records.column("partition").take(pa.array(rows)),
        "record_offset": records.column("offset").take(pa.array(rows)),
        "topics": [_joined(of_one) for of_one in topics],
        "key": keys,
        "value": values,
        "reason": reasons,
    }
    return pa.table([columns[name] for name in OUTGOING.names], OUTGOING)


@cache
def _joined(topics: tuple[str, ...]) -> str:
    return " ".join(topics)
