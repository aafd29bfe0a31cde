"""Messages of the feed ``agreements``: one per simulated subscriber; a share of the messages is late."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from simulator import faults
from simulator.subscribers import ANCHORS, LIMITS, THRESHOLDS, ZONES, Subscribers, msisdns, subscribers
from simulator.texts import Texts, decimal, joined
from simulator.traffic import Message, Sent, messages_of


def _json(**fields: object) -> str:
    """The fields as JSON, without the braces."""
    return json.dumps(fields, separators=(",", ":"))[1:-1]


# The JSON fields of each option; empty where the option is the default.
_LIMITS = pa.array([_json(maxBytesInBillingPeriod=limit) for limit in LIMITS])
_THRESHOLDS = pa.array(["," + _json(thresholds=percents) if percents else "" for percents in THRESHOLDS])
_ANCHORS = pa.array(["," + _json(anchorDay=day) if day > 1 else "" for day in ANCHORS])
_SIGNED_BEFORE = dt.timedelta(days=12)


@dataclass
class AgreementSimulation:
    """The agreements of the subscribers, in their order; late agreements come at the end.

    Attributes:
        count: how many subscribers.
        service_start: the instant at which every agreement starts.
        due: wall-clock time at which the messages are due, epoch seconds.
        late: share of the agreements that are due ``late_s`` seconds later.
        invalid: share of invalid messages; their subscribers have no agreement.
        effective: whether messages say that they hold from ``service_start`` on (``effectiveFrom``), also where
            subscribers have agreements already.
    """

    feed: ClassVar[str] = "agreements"
    count: int
    seed: int
    service_start: dt.datetime
    due: float
    late: float = 0.0
    late_s: float = 30.0
    invalid: float = 0.0
    effective: bool = False
    sent: Sent = field(default_factory=Sent, init=False)

    def pieces(self, size: int = 10_000) -> Iterator[tuple[float, list[Message]]]:
        """Pieces of up to ``size`` messages, each with the time at which it is due."""
        rng = np.random.default_rng([self.seed, 3])
        everyone = subscribers(self.count, self.seed)
        late = rng.random(self.count) < self.late
        self.sent.late = int(late.sum())
        for due, group in ((self.due, everyone[~late]), (self.due + self.late_s, everyone[late])):
            for first in range(0, len(group), size):
                messages = self._messages(group[first : first + size])
                self._break(rng, messages)
                self.sent.records += len(messages)
                yield due, messages

    def _break(self, rng: np.random.Generator, messages: list[Message]) -> None:
        names = sorted(faults.AGREEMENTS)
        for i in np.flatnonzero(rng.random(len(messages)) < self.invalid).tolist():
            fault = faults.AGREEMENTS[names[int(rng.integers(len(names)))]]
            messages[i] = {"key": messages[i]["key"], "value": fault(messages[i]["value"] or b"")}
            self.sent.invalid += 1

    def _messages(self, group: Subscribers) -> list[Message]:
        ids = joined("a9e00000-0000-4000-8000-", decimal(group.indexes, 12))
        values = joined(
            '{"id":"', ids,
            '","msisdn":"', msisdns(group.indexes),
            '",', self._zone_fields.take(group.zones),
            ",", _LIMITS.take(group.limits), _THRESHOLDS.take(group.thresholds), _ANCHORS.take(group.anchors), "}",
        )  # fmt: skip
        return messages_of(ids, values)

    @cached_property
    def _zone_fields(self) -> Texts:
        """For each time zone the JSON fields that its subscribers share."""
        return pa.array([self._fields_of(zone) for zone in ZONES])

    def _fields_of(self, zone: str) -> str:
        def zoned(instant: dt.datetime) -> str:
            return f"{instant.astimezone(ZoneInfo(zone)).isoformat(timespec='seconds')}[{zone}]"

        return _json(
            signedAt=zoned(self.service_start - _SIGNED_BEFORE),
            serviceStartAt=zoned(self.service_start),
            billingPeriodTimeZone=zone,
            **({"effectiveFrom": zoned(self.service_start)} if self.effective else {}),
        )
