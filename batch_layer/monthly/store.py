"""The monthly job's sink for data plans: live totals corrected, missed thresholds found, periods closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine, text

from batch_layer.monthly import statements
from batch_layer.months import Month
from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import DIFFERENCES_SHOWN
from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.offset_log import Offsets
from bytemeter.plans import outbox
from bytemeter.plans.calendars import Calendar, Years, cover
from bytemeter.plans.events import AMENDED, CORRECTED, ThresholdEvent
from bytemeter.plans.judging import amendment, close, reached
from bytemeter.postgres import one_line_errors

SOURCE = "batch"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_CLOSED_AT_ONCE = 100_000

Threshold = tuple[str, dt.datetime, int]


@dataclass(frozen=True)
class MonthSnapshot:
    """What was counted, at one instant.

    Attributes:
        at: the instant.
        offsets: per feed and partition the offset up to which the live query had counted.
        since, until: the span of the month's billing periods, whole hours; equal if there are none.
        stretches: how many there are of a number, an agreement and a period of the month.
    """

    at: dt.datetime
    offsets: Mapping[str, Offsets]
    since: dt.datetime
    until: dt.datetime
    stretches: int


@dataclass(frozen=True)
class Crossing:
    """The running total, instant and internal id of the record that reached a threshold."""

    total: int
    at: dt.datetime
    record: str


@dataclass(frozen=True)
class PlanDifference:
    """A total of a billing period that the recompute finds otherwise."""

    agreement_id: str
    period_start: dt.datetime
    before: int
    after: int


@dataclass(frozen=True)
class Corrected:
    """What was corrected, or with ``dry_run`` would have been: how many periods, the first of them, and the events."""

    changed: int
    differences: tuple[PlanDifference, ...]
    events: Sequence[ThresholdEvent]


@dataclass
class PlanStore:
    """Data plan totals of the billing periods of a month.

    Key: (agreement, period). Corrected by differences to a snapshot, under the lock of the ledger: what the live
    query counts meanwhile stays. Done again it changes nothing and emits nothing.
    """

    month: Month
    connection: Connection = field(repr=False)

    @property
    def _of_month(self) -> dict[str, int]:
        return {"year": self.month.year, "month": self.month.month}

    def snapshot(self) -> MonthSnapshot:
        """What was counted, who owns which records of the month, and its totals, all at one instant."""
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            years = Years(self.month.year, self.month.year)
            used = self.connection.execute(statements.CALENDARS).all()
            cover(self.connection, {Calendar(row.time_zone, row.anchor_day): years for row in used})
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            self.connection.execute(text("set transaction isolation level repeatable read"))
            at = self.connection.scalars(text("select now()")).one()
            offsets: dict[str, Offsets] = {}
            for row in self.connection.execute(statements.COUNTED):
                offsets.setdefault(row.feed, {})[row.partition] = row.next_offset
            self.connection.execute(statements.OWNERSHIP, self._of_month)
            self.connection.execute(statements.LIVE_THEN, self._of_month)
            first_us, last_us, stretches = self.connection.execute(statements.SPAN).one()
        since, until = (_EPOCH + dt.timedelta(microseconds=us or 0) for us in (first_us, last_us))
        since = since.replace(minute=0, second=0, microsecond=0)
        return MonthSnapshot(at, offsets, since, _next_hour(until), stretches)

    def missed(self, staged: Staged) -> list[Threshold]:
        """Thresholds (agreement, period, bytes) that the recomputed totals reach and the live ones had not.

        Raises:
            TransientError: the staged rows are not those that Spark counted; run the job again.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            require_all(self.connection, staged)
            rows = self.connection.execute(statements.MISSED, {"attempt": staged.attempt})
            return [(row.agreement_id, row.period_start, row.threshold_bytes) for row in rows]

    def correct(
        self,
        staged: Staged,
        crossings: Mapping[Threshold, Crossing],
        *,
        now: dt.datetime,
        grace: dt.timedelta,
        dry_run: bool,
    ) -> Corrected:
        """Correct the live totals, emit what was missed, and close what is past its grace by the wall clock.

        Events are in the order: thresholds, amendments and corrections, closings.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin() as transaction:
            self.connection.execute(statements.LOCK_LEDGER, {"feeds": [AGREEMENTS.name, DATA_RECORDS.name]})
            self.connection.execute(statements.FIND_DIFFERENCES, {"attempt": staged.attempt})
            changed = self.connection.scalars(statements.COUNT_DIFFERENCES).one()
            first = self.connection.execute(statements.FIRST_DIFFERENCES, {"most": DIFFERENCES_SHOWN})
            shown = tuple(PlanDifference(*row) for row in first)
            self.connection.execute(statements.OPEN_PERIODS, {**self._of_month, "now": now})
            self.connection.execute(statements.CORRECT)
            events = [*self._crossed(crossings), *self._amended()]
            self.connection.execute(statements.SET_NEXT_THRESHOLDS)
            events += self._closed(now - grace)
            written = outbox.write(self.connection, events, source=SOURCE)
            if dry_run:
                transaction.rollback()
        return Corrected(changed, shown, written)

    def _closed(self, until: dt.datetime) -> Iterator[ThresholdEvent]:
        more = True
        while more:
            closed = close(self.connection, until, most=_CLOSED_AT_ONCE, of_month=(self.month.year, self.month.month))
            yield from closed.events
            more = closed.more

    def _crossed(self, crossings: Mapping[Threshold, Crossing]) -> list[ThresholdEvent]:
        periods = [tuple(row) for row in self.connection.execute(statements.CROSSED, self._of_month)]
        return [_at(event, crossings) for event in reached(self.connection, periods)] if periods else []

    def _amended(self) -> list[ThresholdEvent]:
        rows = self.connection.execute(statements.AMEND)
        return [amendment(row, AMENDED if row.status == "closed" else CORRECTED) for row in rows]


@contextmanager
def plan_store(engine: Engine, month: Month) -> Iterator[PlanStore]:
    """The store of a month, for one monthly job at a time: its connection holds an advisory lock.

    Raises:
        BytemeterError: another monthly job runs, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with one_line_errors(engine.url):
        connection = engine.connect()
    try:
        with one_line_errors(engine.url), connection.begin():
            if not connection.scalars(statements.LOCK).one():
                raise BytemeterError("another monthly job runs; wait for it, or stop it")
            connection.execute(statements.CLEAR_STAGED)
        yield PlanStore(month, connection)
    finally:
        connection.close()


def _at(event: ThresholdEvent, crossings: Mapping[Threshold, Crossing]) -> ThresholdEvent:
    """The event as of the record that crossed, if the history tells it; else it crossed since the snapshot."""
    crossing = crossings.get((event.agreement_id, event.period_start, event.threshold_bytes or 0))
    if crossing is None:
        return event
    return replace(event, total_bytes=crossing.total, latest_recorded_at=crossing.at, latest_record=crossing.record)


def _next_hour(at: dt.datetime) -> dt.datetime:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if hour == at else hour + dt.timedelta(hours=1)
