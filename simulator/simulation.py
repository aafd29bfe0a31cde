"""The messages of any feed's traffic, piece by piece: drawn, then made late, duplicate or invalid in part."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from simulator.faults import Fault
from simulator.texts import Ints
from simulator.traffic import Message, Rhythm, Sent, Traffic, chunks

_LATE_S = (600, 3 * 3_600)
_REMEMBERED = 5_000


@dataclass
class _Disturbed:
    """Which messages of a piece are disturbed, by their index in the piece.

    Attributes:
        duplicates: the earlier message that is sent again at the index.
        faults: the fault that is made at the index.
        remembered: indexes of messages that may be sent again later.
    """

    duplicates: dict[int, Message] = field(default_factory=dict)
    faults: dict[int, Fault] = field(default_factory=dict)
    remembered: list[int] = field(default_factory=list)


class Simulation(ABC):
    """The messages of a traffic, and the counts of what was made.

    A late record has an event time ten minutes to three hours before it is due. A duplicate equals one of the last
    5,000 messages byte for byte. An invalid message has one of the feed's faults.

    Attributes:
        feed: the name of the feed.
        faults: the faults that a message can have, by name.
    """

    feed: ClassVar[str]
    faults: ClassVar[Mapping[str, Fault]]

    def __init__(self, traffic: Traffic) -> None:
        self.traffic = traffic
        self.sent = Sent()
        self.rng = np.random.default_rng([traffic.seed, int(traffic.start * 1_000), zlib.crc32(self.feed.encode())])
        self._rhythm = Rhythm(traffic.start, traffic.rate, traffic.depth)
        self._recent: deque[Message] = deque(maxlen=_REMEMBERED)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Pieces of up to ``size`` messages, each with the event time at which its last message is due."""
        for count in chunks(self.traffic, size):
            times = self._rhythm.take(count)
            seconds = times.astype("int64")
            sizes = self.draw(count)
            disturbed = self._disturb(seconds)
            messages = self.messages(seconds)
            self._replace(messages, disturbed)
            self.sent.records += count
            self.sent.valid_bytes += int(sizes.sum() - sizes[[*disturbed.duplicates, *disturbed.faults]].sum())
            yield float(times[-1]), messages

    @abstractmethod
    def draw(self, count: int) -> Ints:
        """Draw the next records, except their event times; returns the measure of each, such as its bytes."""

    @abstractmethod
    def messages(self, seconds: Ints) -> list[Message]:
        """The messages of the records drawn, with these event times in epoch seconds."""

    def shown(self) -> str:
        """What the valid, distinct records come to, such as ``9082 bytes``."""
        return f"{self.sent.valid_bytes} bytes"

    def _disturb(self, seconds: Ints) -> _Disturbed:
        """Choose the late, duplicate and invalid records; sets back the event times of the late ones."""
        late = self.traffic.late
        duplicate = late + self.traffic.duplicates
        invalid = duplicate + self.traffic.invalid
        disturbed, names = _Disturbed(), sorted(self.faults)
        if not invalid:
            return disturbed
        draws = self.rng.random(len(seconds))
        for i in np.flatnonzero(draws < invalid).tolist():
            if draws[i] < late:
                seconds[i] -= self.rng.integers(*_LATE_S, endpoint=True)
                self.sent.late += 1
            elif draws[i] >= duplicate:
                disturbed.faults[i] = self.faults[names[int(self.rng.integers(len(names)))]]
            elif self._recent:
                disturbed.duplicates[i] = self._recent[int(self.rng.integers(len(self._recent)))]
        if self.traffic.duplicates:
            disturbed.remembered = np.flatnonzero(draws >= invalid)[-_REMEMBERED:].tolist()
        return disturbed

    def _replace(self, messages: list[Message], disturbed: _Disturbed) -> None:
        """Replace the messages chosen as duplicate or invalid, and remember messages for later duplicates."""
        for i, message in disturbed.duplicates.items():
            messages[i] = message
        for i, fault in disturbed.faults.items():
            messages[i] = {"key": messages[i]["key"], "value": fault(messages[i]["value"] or b"")}
        self._recent.extend([messages[i] for i in disturbed.remembered])
        self.sent.duplicates += len(disturbed.duplicates)
        self.sent.invalid += len(disturbed.faults)
