"""The messages of a traffic, piece by piece, whatever the feed: drawn, then disturbed by what real senders do."""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

import numpy as np

from simulator.faults import Fault
from simulator.traffic import Floats, Message, Rhythm, Sent, Traffic, chunks

_LATE_S = (600, 3 * 3_600)
_REMEMBERED = 5_000


class Simulation(ABC):
    """The messages of a traffic, and what of them counts.

    A late record has an event time ten minutes to three hours before it is due; a duplicate is, byte for byte, one
    of the last few thousand messages; an invalid one has one of the feed's faults.

    Attributes:
        feed: the name of the feed.
        faults: what can be wrong with a message, by name.
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
        """Messages in pieces, each with the event time at which its last one is due."""
        for count in chunks(self.traffic, size):
            times = self._rhythm.take(count)
            sizes = self.draw(times)
            messages = self.messages()
            self.sent.records += count
            self.sent.valid_bytes += sum(sizes)
            self._disturb(sizes, messages)
            yield float(times[-1]), messages

    @abstractmethod
    def draw(self, times: Floats) -> Sequence[int]:
        """Draw a record for each event time, to be asked for by the other methods; their bytes."""

    @abstractmethod
    def messages(self) -> list[Message]:
        """The messages of the records drawn."""

    @abstractmethod
    def earlier(self, index: int, seconds: int) -> Message:
        """The message of one of the records drawn, with an event time so much earlier."""

    def _disturb(self, sizes: Sequence[int], messages: list[Message]) -> None:
        """Replace the traffic's shares of the messages by late, repeated and invalid ones."""
        late = self.traffic.late
        duplicate = late + self.traffic.duplicates
        invalid = duplicate + self.traffic.invalid
        if not invalid:
            return
        draws = self.rng.random(len(messages))
        disturbed = np.flatnonzero(draws < invalid).tolist()
        for i in disturbed:
            if draws[i] < late:
                messages[i] = self.earlier(i, int(self.rng.integers(*_LATE_S, endpoint=True)))
                self.sent.late += 1
            elif draws[i] < duplicate:
                if self._recent:
                    messages[i] = self._recent[int(self.rng.integers(len(self._recent)))]
                    self.sent.duplicates += 1
                    self.sent.valid_bytes -= sizes[i]
            else:
                messages[i] = self._broken(messages[i])
                self.sent.invalid += 1
                self.sent.valid_bytes -= sizes[i]
        if self.traffic.duplicates:
            intact = np.flatnonzero(draws >= invalid)[-_REMEMBERED:].tolist()
            self._recent.extend(messages[i] for i in intact)

    def _broken(self, message: Message) -> Message:
        names = sorted(self.faults)
        fault = self.faults[names[int(self.rng.integers(len(names)))]]
        return {"key": message["key"], "value": fault(message["value"] or b"")}
