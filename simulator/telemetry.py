"""Batches of the feed ``telemetry-batches``: devices that send what happened in their users' sessions."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import ClassVar

import msgspec
import numpy as np

from bytemeter.errors import BytemeterError
from simulator.sessions import Members, Session
from simulator.traffic import Message, Rhythm, Sent, Traffic, Zipf, chunks

_REMEMBERED = 5_000
_CONTENTS = 200
# An event of over 1 MiB fails (see telemetry's facts); this one is a log line of somebody who logs a file.
_TOO_LARGE = 2**20 + 1
_ENCODE = msgspec.json.Encoder().encode
# Ways to break an event, as real senders do.
FAULTS: Mapping[str, Callable[[Members], object]] = {
    "no actor": lambda event: event.pop("actor"),
    "no mid": lambda event: event.pop("mid"),
    "time as text": lambda event: event.update(ets=str(event["ets"])),
    "time in seconds": lambda event: event.update(ets=event["ets"] // 1_000),
    "old version": lambda event: event.update(ver="2.1"),
    "no channel": lambda event: event["context"].pop("channel"),
    "data as text": lambda event: event.update(edata=str(event["edata"])),
    "tags as text": lambda event: event.update(tags="a,b"),
    "NUL in mid": lambda event: event.update(mid=event["mid"] + "\0"),
}


@dataclass(frozen=True)
class Shares:
    """Shares of the traffic that are special, each in 0..1.

    Attributes:
        unknown: of events with an eid that nobody knows.
        too_large: of events of over 1 MiB.
        repeated: of batches that are sent twice.
    """

    unknown: float = 0.0
    too_large: float = 0.0
    repeated: float = 0.0

    def __post_init__(self) -> None:
        shares = (self.unknown, self.too_large, self.repeated)
        if not all(0 <= share <= 1 for share in shares):
            raise BytemeterError(f"shares of unknown, too large and repeated are {shares}; expected 0 to 1")


@dataclass
class SentTelemetry(Sent):
    """Counts of what was sent. Counts of events leave out the events of repeated batches.

    Attributes:
        records: events.
        duplicates, invalid: duplicate and invalid events; events of an unknown eid and too large ones count apart.
        batches: messages, with the repeated ones.
        logs, errors, shared: valid and distinct events LOG and ERROR, and items that SHARE events have.
    """

    batches: int = 0
    repeated: int = 0
    unknown: int = 0
    too_large: int = 0
    logs: int = 0
    errors: int = 0
    shared: int = 0

    @property
    def raw(self) -> int:
        """Events that pass the first stage."""
        return self.records - self.too_large

    @property
    def unique(self) -> int:
        """Events that are valid, distinct and neither LOG nor ERROR, and the SHARE_ITEM of each shared item."""
        return self.raw - self.invalid - self.unknown - self.duplicates - self.logs - self.errors + self.shared


class _Device:
    """A device with its user's session, and the events that it has not sent yet."""

    def __init__(self, random: Random, number: int) -> None:
        self._random = random
        self.did = f"{random.getrandbits(128):032x}"
        self._context = {
            "channel": f"in.school-{number % 5}",
            "env": "app",
            "pdata": {"id": "in.example.app", "pid": "player", "ver": f"3.{number % 3}.0"},
            "did": self.did,
            "cdata": [{"type": "Class", "id": f"class-{number % 12}"}],
        }
        self._actor = {"id": f"u-{number:06}", "type": "User"}
        self.waiting: list[bytes] = []
        self._session: Session | None = None
        self._sid = ""

    def event(self, at_ms: int) -> Members:
        """The next event of the session; a session that is over is followed by another one."""
        while True:
            if self._session is None:
                self._session = Session(Random(self._random.getrandbits(64)), _CONTENTS)
                self._sid = f"{self._random.getrandbits(64):016x}"
            happened = self._session.next(at_ms)
            if happened is not None:
                break
            self._session = None
        return {
            "eid": happened.pop("eid"),
            "ets": at_ms,
            "ver": "3.0",
            "mid": f"{self._random.getrandbits(128):032x}",
            "actor": dict(self._actor),
            "context": {**self._context, "sid": self._sid},
            **happened,
            "tags": [self._context["channel"]],
        }

    def batch(self, at_ms: int) -> Message:
        """A message with the events that wait."""
        head = {
            "id": "api.telemetry",
            "ver": "3.0",
            "ets": at_ms,
            "params": {"msgid": f"{self._random.getrandbits(128):032x}", "did": self.did, "key": "", "requesterId": ""},
            "did": self.did,
            "channel": self._context["channel"],
            "syncts": at_ms,
            "events": [msgspec.Raw(event) for event in self.waiting],
        }
        self.waiting = []
        return {"key": self.did.encode(), "value": _ENCODE(head)}


class TelemetrySimulation:
    """Devices that send batches of events.

    The traffic's ``subscribers`` are devices; ``rate`` and ``records`` are of events, ``duplicates`` and ``invalid``
    shares of events. A duplicate equals one of the last 5,000 events byte for byte; LOG events are never duplicates.
    """

    feed: ClassVar[str] = "telemetry-batches"

    def __init__(self, traffic: Traffic, shares: Shares = Shares(), *, batch: int = 20) -> None:
        """Simulate.

        Args:
            batch: a device sends its events once it has so many.

        Raises:
            BytemeterError: the shares come to more than 1.
        """
        kinds = {
            "duplicate": traffic.duplicates,
            "invalid": traffic.invalid,
            "unknown": shares.unknown,
            "large": shares.too_large,
        }
        if sum(kinds.values()) > 1:
            raise BytemeterError(f"shares of events are {kinds}; expected at most 1 in sum")
        self.traffic, self.sent = traffic, SentTelemetry()
        seeds = [traffic.seed, int(traffic.start * 1_000), zlib.crc32(self.feed.encode())]
        self._numbers = np.random.default_rng(seeds)
        self._random = Random(int(self._numbers.integers(2**63)))
        self._devices = [_Device(self._random, number) for number in range(traffic.subscribers)]
        self._by_device = Zipf(traffic.subscribers, traffic.skew)
        self._rhythm = Rhythm(traffic.start, traffic.rate, traffic.depth)
        self._kinds = [*kinds, "valid"]
        self._weights = [*kinds.values(), 1 - sum(kinds.values())]
        self._repeated, self._batch = shares.repeated, batch
        self._recent: deque[bytes] = deque(maxlen=_REMEMBERED)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Messages of up to ``size`` events at a time, with the event time at which the last one is due."""
        at_ms = int(1_000 * self.traffic.start)
        for count in chunks(self.traffic, size):
            times = self._rhythm.take(count)
            devices = self._by_device.draw(self._numbers, count)
            kinds = self._random.choices(self._kinds, self._weights, k=count)
            messages: list[Message] = []
            for time, device, kind in zip(times.tolist(), devices.tolist(), kinds, strict=True):
                at_ms = int(1_000 * time)
                messages += self._happens(self._devices[device], kind, at_ms)
            yield float(times[-1]), messages
        waiting = (device for device in self._devices if device.waiting)
        while some := [*islice(waiting, max(1, size // self._batch))]:
            yield at_ms / 1_000, [message for device in some for message in self._sent(device, at_ms)]

    def shown(self) -> str:
        """What becomes of the events, as the funnel of the stages counts them."""
        sent = self.sent
        failed = sent.invalid + sent.unknown + sent.too_large
        return (
            f"{sent.batches} batches ({sent.repeated} repeated): {sent.raw} raw, {sent.unique} unique, "
            f"{sent.logs} log, {sent.errors} error, {sent.duplicates} duplicate, {failed} failed"
        )

    def _happens(self, device: _Device, kind: str, at_ms: int) -> list[Message]:
        """An event of a device, and the messages that it then sends."""
        self.sent.records += 1
        device.waiting.append(self._event(device, kind, at_ms))
        # Several large ones would be more than a message may have.
        is_full = kind == "large" or len(device.waiting) >= self._batch
        return self._sent(device, at_ms) if is_full else []

    def _event(self, device: _Device, kind: str, at_ms: int) -> bytes:
        if kind == "duplicate" and self._recent:
            self.sent.duplicates += 1
            return self._random.choice(self._recent)
        event = device.event(at_ms)
        match kind:
            case "invalid":
                self.sent.invalid += 1
                FAULTS[self._random.choice(sorted(FAULTS))](event)
            case "unknown":
                self.sent.unknown += 1
                event["eid"] = self._random.choice(["DC_ANSWER", "GENIE", "click"])
            case "large":
                self.sent.too_large += 1
                event.update(eid="LOG", edata={"type": "file", "level": "DEBUG", "message": "x" * _TOO_LARGE})
            case _:
                return self._valid(event)
        return _ENCODE(event)

    def _valid(self, event: Members) -> bytes:
        value = _ENCODE(event)
        self.sent.logs += event["eid"] == "LOG"
        self.sent.errors += event["eid"] == "ERROR"
        self.sent.shared += len(event["edata"]["items"]) if event["eid"] == "SHARE" else 0
        if event["eid"] != "LOG":
            self._recent.append(value)
        return value

    def _sent(self, device: _Device, at_ms: int) -> list[Message]:
        message = device.batch(at_ms)
        times = 2 if self._random.random() < self._repeated else 1
        self.sent.batches += times
        self.sent.repeated += times - 1
        return [message] * times
