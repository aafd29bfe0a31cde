"""What must come of a life of data plans: plain Python that knows the rules of docs/data-plans.md only.

Owners are asked record by record, at one instant; periods are found by local dates, not by boundaries. Nothing of the
code under test is used.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple
from zoneinfo import ZoneInfo

from tests.integration.life import CHANGED_ZONES, STORED_SINCE, Message, Record, Step


class Period(NamedTuple):
    """A billing period: its agreement, calendar, and the month in which it starts."""

    agreement: str
    zone: str
    anchor: int
    year: int
    month: int

    @property
    def start(self) -> dt.datetime:
        """Its first instant."""
        return _first(self.year, self.month, self.anchor, self.zone)

    @property
    def end(self) -> dt.datetime:
        """The first instant after it."""
        return _first(self.year + self.month // 12, self.month % 12 + 1, self.anchor, self.zone)


class Event(NamedTuple):
    """What a threshold event says."""

    type: str
    percent: int | None
    threshold: int | None
    total: int
    record: str | None
    limit: int


@dataclass
class Usage:
    """A billing period as stored."""

    total: int = 0
    latest: tuple[dt.datetime, str] | None = None
    closed: bool = False
    terms: tuple[int, tuple[int, ...]] = (0, ())

    def said(self, type_: str) -> Event:
        """An event as of now."""
        return Event(type_, None, None, self.total, self.latest and self.latest[1], self.terms[0])


@dataclass
class Truth:
    """What must be stored."""

    messages: dict[str, list[Message]] = field(default_factory=dict)
    # Agreements that ever had a number.
    of_number: dict[str, set[str]] = field(default_factory=dict)
    begins: dict[str, list[tuple[dt.datetime, int, Message]]] = field(default_factory=dict)
    waiting: list[Record] = field(default_factory=list)
    counted: list[Record] = field(default_factory=list)
    usage: dict[Period, Usage] = field(default_factory=dict)
    events: dict[tuple[str, dt.datetime], list[Event]] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        """Count a micro-batch, and close what is over."""
        for message in step.agreements:
            self.messages.setdefault(message.id, []).append(message)
            self.of_number.setdefault(message.msisdn, set()).add(message.id)
        changed = {message.id for message in step.agreements}
        self.begins.update({id_: _begins(self.messages[id_]) for id_ in changed})
        for period, usage in self.usage.items():
            if period.agreement in changed and not usage.closed:
                usage.terms = self._terms(period)
                self._judge(period, usage)
        self._count(step.records)
        if step.close_until is not None:
            self._close(self.usage, step.close_until)

    def recompute(self, year: int, month: int, until: dt.datetime) -> None:
        """A monthly run: every record belongs to its owner by all that is known now."""
        first = dt.datetime(year, month, 1, tzinfo=dt.UTC)
        near = (one for one in self.counted if dt.timedelta(-2) <= one.at - first <= dt.timedelta(64))
        found: dict[Period, list[Record]] = {}
        for record in near:
            period = self.period(record)
            if period and (period.year, period.month) == (year, month):
                found.setdefault(period, []).append(record)
        stored = {period for period in self.usage if (period.year, period.month) == (year, month)}
        for period in stored | found.keys():
            usage = self._opened(period)
            before, records = usage.total, found.get(period, [])
            told = bool(self._told(period))
            usage.total = sum(one.size for one in records)
            usage.latest = max(((one.at, one.id) for one in records), default=None)
            self._judge(period, usage)
            if before != usage.total and (usage.closed or told):
                self._amend(period, usage.said("BILLING_PERIOD_AMENDED" if usage.closed else "DATA_PLAN_CORRECTED"))
        self._close(stored | found.keys(), until)

    def owner(self, msisdn: str, at: dt.datetime) -> Message | None:
        """The version that owns the records of a number at an instant, by all that is known."""
        versions = [holding(self.begins[id_], at) for id_ in self.of_number.get(msisdn, ())]
        serving = [one for one in versions if one and one.msisdn == msisdn and one.start <= at]
        serving = [one for one in serving if one.end is None or at < one.end]
        return max(serving, key=lambda one: (one.start, one.signed, one.id), default=None)

    def period(self, record: Record) -> Period | None:
        """The billing period that owns a record, by all that is known."""
        owner = self.owner(record.msisdn, record.at)
        return owner and Period(owner.id, owner.zone, owner.anchor, *_month(record.at, owner.anchor, owner.zone))

    def _count(self, came: Iterable[Record]) -> None:
        by_period: dict[Period, list[Record]] = {}
        records, self.waiting = [*self.waiting, *came], []
        for record in records:
            period = self.period(record)
            if period is None:
                self.waiting.append(record)
            else:
                self.counted.append(record)
                by_period.setdefault(period, []).append(record)
        for period, of_period in by_period.items():
            usage = self._opened(period)
            for record in sorted(of_period, key=lambda one: (one.at, one.id)):
                usage.total += record.size
                self._judge(period, usage, record)
            latest = max((one.at, one.id) for one in of_period)
            usage.latest = max(usage.latest or latest, latest)
            if usage.closed:
                self._amend(period, usage.said("BILLING_PERIOD_AMENDED"))

    def _opened(self, period: Period) -> Usage:
        if period not in self.usage:
            self.usage[period] = Usage(terms=self._terms(period))
        return self.usage[period]

    def _told(self, period: Period) -> list[Event]:
        return self.events.setdefault((period.agreement, period.start), [])

    def _judge(self, period: Period, usage: Usage, crossed: Record | None = None) -> None:
        """Emit the thresholds that a total reaches, each once."""
        limit, thresholds = usage.terms
        if crossed is None and usage.latest is None:
            return
        record = crossed.id if crossed else usage.latest and usage.latest[1]
        told = self._told(period)
        known = {(one.percent, one.threshold) for one in told}
        for least, percent in sorted((-(-limit * percent // 100), percent) for percent in {*thresholds, 100}):
            if usage.total >= least and (percent, least) not in known:
                type_ = "DATA_PLAN_EXCEEDED" if percent == 100 else "DATA_PLAN_THRESHOLD_REACHED"
                told.append(Event(type_, percent, least, usage.total, record, limit))

    def _amend(self, period: Period, event: Event) -> None:
        told = self._told(period)
        if not told or told[-1] != event:
            told.append(event)

    def _close(self, periods: Iterable[Period], until: dt.datetime) -> None:
        for period in [one for one in periods if one.end <= until and not self.usage[one].closed]:
            usage = self.usage[period]
            if usage.latest is None and not self._serves(period):
                del self.usage[period]
            else:
                usage.closed = True
                self._told(period).append(usage.said("BILLING_PERIOD_CLOSED"))

    def _serves(self, period: Period) -> bool:
        """Whether the agreement owns any instant of the period; owners change only where a version begins or ends."""
        numbers = {one.msisdn for one in self.messages[period.agreement]}
        others = {id_ for number in numbers for id_ in self.of_number[number]}
        bounds = {at for id_ in others for begin, _, one in self.begins[id_] for at in (begin, one.start, one.end)}
        for at in {period.start, *(at for at in bounds if at and period.start <= at < period.end)}:
            version = holding(self.begins[period.agreement], at)
            if version and (version.zone, version.anchor) == (period.zone, period.anchor):
                owner = self.owner(version.msisdn, at)
                if owner and owner.id == period.agreement:
                    return True
        return False

    def _terms(self, period: Period) -> tuple[int, tuple[int, ...]]:
        """Of the last version that begins before the end; without effectiveFrom it counts at once."""
        begins = self.begins[period.agreement]
        for begin, n, version in sorted(begins, key=lambda one: one[:2], reverse=True):
            replaced = any(other == begin and later > n for other, later, _ in begins)
            if not replaced and (begin < period.end or version.effective is None):
                return version.limit, tuple(version.thresholds)
        raise AssertionError(period)


def _begins(messages: list[Message]) -> list[tuple[dt.datetime, int, Message]]:
    """From when each message of an agreement holds; of two that begin at the same instant the later number holds."""
    begins: list[tuple[dt.datetime, int, Message]] = []
    for n, message in enumerate(sorted(messages, key=lambda one: (one.received, one.offset))):
        if message.effective:
            begins.append((message.effective, n, message))
        elif any(begin <= message.received for begin, _, _ in begins):
            begins.append((message.received, n, message))
        else:
            begins = [one for one in begins if one[2].effective]
            begins.append((message.start, n, message))
    return begins


def holding(begins: list[tuple[dt.datetime, int, Message]], at: dt.datetime) -> Message | None:
    """The version of one agreement that holds at an instant."""
    begun = [one for one in begins if one[0] <= at]
    return max(begun, key=lambda one: one[:2])[2] if begun else None


def _month(at: dt.datetime, anchor: int, zone: str) -> tuple[int, int]:
    """The month in which the period of an instant starts, by its local date; stored boundaries stay."""
    stored = at >= _first(STORED_SINCE, 1, anchor, zone)
    day = at.astimezone(ZoneInfo(zone if stored else CHANGED_ZONES.get(zone, zone))).date()
    if day.day < min(anchor, calendar.monthrange(day.year, day.month)[1]):
        day = day.replace(day=1) - dt.timedelta(days=1)
    found = (day.year, day.month)
    return found if stored else min(found, (STORED_SINCE - 1, 12))


def _first(year: int, month: int, anchor: int, zone: str) -> dt.datetime:
    day = min(anchor, calendar.monthrange(year, month)[1])
    known = zone if year >= STORED_SINCE else CHANGED_ZONES.get(zone, zone)
    return dt.datetime(year, month, day, tzinfo=ZoneInfo(known)).astimezone(dt.UTC)
