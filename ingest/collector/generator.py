"""Simulated agreements and data records, sent when somebody asks: for trials of data plans without a producer.

Subscribers have the MSISDNs of ``bytemeter simulate``. Records of a subscriber whose agreement was generated use it up.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import msgspec
from starlette.datastructures import QueryParams
from starlette.responses import Response

from bytemeter.feeds import feed_named
from bytemeter.web.problems import try_later, wrong_parameter
from ingest.collector.delivery import Delivery, Destination
from ingest.collector.metrics import CollectorMetrics
from ingest.collector.results import ACCEPTED, RETRY, RETRY_AFTER_S
from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.sending import Simulated
from simulator.traffic import Traffic

MONTH = re.compile("^20[0-9]{2}-(0[1-9]|1[0-2])$")
# Parameters that are numbers: the least and the most.
NUMBERS = {"subscribers": (1, 100_000), "seed": (0, 2**31 - 1), "records": (1, 1_000_000)}
_RECORDS = 10_000
_MOST_AT_ONCE = 1_000
_NUMBER = re.compile("[0-9]{1,10}")


@dataclass(frozen=True)
class Plans:
    """Whose agreements, and for which month.

    Attributes:
        subscribers: how many.
        seed: other seeds give other data plans, time zones and records.
        month: its first day; None for the present one. Agreements begin a month before.
    """

    subscribers: int = 20
    seed: int = 7
    month: dt.date | None = None


class Generator:
    """Sends simulated messages, for one request at a time.

    Each message is delivered at least once, in the order in which it was made. The same parameters make the same
    agreements, and for a month that is over the same data records.
    """

    def __init__(
        self,
        delivery: Delivery,
        topic_name: Callable[[str], str],
        metrics: CollectorMetrics,
        *,
        most_events: int,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a generator.

        Args:
            topic_name: gives the name on the cluster of a feed's topic.
            most_events: how many events may be in flight.
            clock: seconds since 1970.
        """
        self._piece = min(most_events, _MOST_AT_ONCE)
        self._delivery, self._topic_name, self._metrics, self._clock = delivery, topic_name, metrics, clock
        # Records without parameters are of these subscribers.
        self._latest = Plans()
        self._running = False

    async def agreements(self, query: QueryParams) -> Response:
        """Send the agreements of some subscribers.

        Raises:
            Problem: 400 for a wrong parameter, 429 if another request is served, 503 if Kafka has not taken all.
        """
        plans = self._plans(query, Plans(), ("subscribers", "seed", "month"))
        before = _first_day(self._month(plans) - dt.timedelta(days=1))
        # Of a month that is past, too, and whatever the subscribers' agreements were before.
        simulated = AgreementSimulation(plans.subscribers, plans.seed, _midnight(before), self._clock(), effective=True)
        answer = await self._send(simulated, plans)
        self._latest = plans
        return answer

    async def data_records(self, query: QueryParams) -> Response:
        """Send data records of some subscribers, evenly over the month, or over what has passed of it.

        Raises:
            Problem: see ``agreements``.
        """
        plans = self._plans(query, self._latest, ("subscribers", "seed", "month", "records"))
        records = _number(query, "records", _RECORDS)
        month = self._month(plans)
        start = _midnight(month).timestamp()
        end = min(_midnight(_first_day(month + dt.timedelta(days=31))).timestamp(), self._clock())
        rate = records / max(1.0, end - start)
        traffic = Traffic(start, plans.seed, rate, records, plans.subscribers, depth=0.0)
        return await self._send(DataRecordSimulation(traffic), plans)

    def _plans(self, query: QueryParams, default: Plans, known: Iterable[str]) -> Plans:
        for name, value in query.multi_items():
            if name not in known:
                raise wrong_parameter(400, "query", name, f"only {', '.join(known)}")
            if len(query.getlist(name)) > 1:
                raise wrong_parameter(400, name, value, "this parameter once")
        plans = replace(
            default,
            subscribers=_number(query, "subscribers", default.subscribers),
            seed=_number(query, "seed", default.seed),
        )
        text = query.get("month")
        if text is None:
            return plans
        plans = replace(plans, month=dt.date.fromisoformat(f"{text}-01") if MONTH.fullmatch(text) else None)
        if plans.month is None or plans.month > self._today():
            raise wrong_parameter(400, "month", text, "a month of this century that has begun, e.g. 2026-11")
        return plans

    def _today(self) -> dt.date:
        return dt.datetime.fromtimestamp(self._clock(), dt.UTC).date()

    def _month(self, plans: Plans) -> dt.date:
        return plans.month or _first_day(self._today())

    async def _send(self, simulated: Simulated, plans: Plans) -> Response:
        if self._running:
            raise try_later(429, "the generator serves another request; repeat the request", 1)
        if not self._delivery.available:
            raise try_later(503, "Kafka cannot be reached; repeat the request", RETRY_AFTER_S)
        self._running = True
        try:
            sent, acknowledged = await self._deliver(simulated)
        finally:
            self._running = False
        if acknowledged < sent:
            detail = f"Kafka acknowledged {acknowledged} of {sent} messages; repeat the request"
            raise try_later(503, detail, RETRY_AFTER_S, sent=sent, acknowledged=acknowledged)
        answer = {
            "feed": simulated.feed, "sent": sent, "acknowledged": acknowledged,
            "subscribers": plans.subscribers, "seed": plans.seed, "month": f"{self._month(plans):%Y-%m}",
        }  # fmt: skip
        return Response(msgspec.json.encode(answer), media_type="application/json")

    async def _deliver(self, simulated: Simulated) -> tuple[int, int]:
        """Deliver piece by piece, up to one that is not acknowledged; returns the messages sent and acknowledged."""
        to = Destination(self._topic_name(feed_named(simulated.feed).topic))
        pieces = simulated.pieces(self._piece)
        sent = acknowledged = 0
        while sent == acknowledged and (piece := await asyncio.to_thread(next, pieces, None)):
            delivered = await self._delivery.deliver(to, piece[1])
            sent, acknowledged = sent + len(delivered), acknowledged + sum(delivered)
            self._metrics.add(simulated.feed, ACCEPTED, sum(delivered))
            self._metrics.add(simulated.feed, RETRY, len(delivered) - sum(delivered))
        return sent, acknowledged


def _number(query: QueryParams, name: str, default: int) -> int:
    text = query.get(name)
    least, most = NUMBERS[name]
    if text is None:
        return default
    if not _NUMBER.fullmatch(text) or not least <= int(text) <= most:
        raise wrong_parameter(400, name, text, f"a whole number from {least} to {most}")
    return int(text)


def _first_day(day: dt.date) -> dt.date:
    return day.replace(day=1)


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)
