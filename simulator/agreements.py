"""Messages of the feed ``agreements``: one for each simulated subscriber, some of them late."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np

from simulator import faults
from simulator.subscribers import Subscriber, subscribers
from simulator.traffic import Message, Sent

_SIGNED_BEFORE = dt.timedelta(days=12)


@dataclass
class AgreementSimulation:
    """The agreements of the subscribers, in the order of their numbers; late ones come at the end.

    Attributes:
        service_start: when the service of all starts.
        due: wall-clock time at which the messages are due, epoch seconds.
        late: share of the agreements that come ``late_s`` seconds after the others.
        invalid: share of broken messages; their subscribers have no agreement.
    """

    feed: ClassVar[str] = "agreements"
    count: int
    seed: int
    service_start: dt.datetime
    due: float
    late: float = 0.0
    late_s: float = 30.0
    invalid: float = 0.0
    sent: Sent = field(default_factory=Sent, init=False)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Messages in pieces, each with the time at which it is due."""
        rng = np.random.default_rng([self.seed, 3])
        everyone = subscribers(self.count, self.seed)
        late = (rng.random(self.count) < self.late).tolist()
        self.sent.late = sum(late)
        for due, group in (
            (self.due, [s for s, is_late in zip(everyone, late, strict=True) if not is_late]),
            (self.due + self.late_s, [s for s, is_late in zip(everyone, late, strict=True) if is_late]),
        ):
            for first in range(0, len(group), size):
                messages = [self._message(one) for one in group[first : first + size]]
                self._break(rng, messages)
                self.sent.records += len(messages)
                yield due, messages

    def _break(self, rng: np.random.Generator, messages: list[Message]) -> None:
        names = sorted(faults.AGREEMENTS)
        for i in np.flatnonzero(rng.random(len(messages)) < self.invalid).tolist():
            fault = faults.AGREEMENTS[names[int(rng.integers(len(names)))]]
            messages[i] = {"key": messages[i]["key"], "value": fault(messages[i]["value"] or b"")}
            self.sent.invalid += 1

    def _message(self, subscriber: Subscriber) -> Message:
        zone = ZoneInfo(subscriber.time_zone)

        def zoned(instant: dt.datetime) -> str:
            return f"{instant.astimezone(zone).isoformat(timespec='seconds')}[{subscriber.time_zone}]"

        told = {
            "id": subscriber.agreement_id,
            "msisdn": subscriber.msisdn,
            "signedAt": zoned(self.service_start - _SIGNED_BEFORE),
            "serviceStartAt": zoned(self.service_start),
            "billingPeriodTimeZone": subscriber.time_zone,
            "maxBytesInBillingPeriod": subscriber.limit,
            **({"thresholds": list(subscriber.thresholds)} if subscriber.thresholds else {}),
            **({"anchorDay": subscriber.anchor_day} if subscriber.anchor_day > 1 else {}),
        }
        return {
            "key": subscriber.agreement_id.encode(),
            "value": json.dumps(told, separators=(",", ":")).encode(),
        }
