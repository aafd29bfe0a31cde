"""The monthly job's tables of data plans: live totals are corrected, missed thresholds found, periods closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, Engine, text

from batch_layer.months import Month
from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import DIFFERENCES_SHOWN
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.leases.lease import Lease, Terms, leased_job
from bytemeter.offset_log import Offsets
from bytemeter.plans import outbox
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.plans.events import Crossing, ThresholdEvent
from bytemeter.plans.judging import amend, close_periods, reach_thresholds
from bytemeter.plans.periods import instant
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "store.sql")
SOURCE = "batch"
_CLOSED_AT_ONCE = 100_000

# Of a lease that a store takes itself; see BYTEMETER_LEASE_S.
_SILENT_S = 30.0


class Threshold(NamedTuple):
    """A threshold of a billing period."""

    agreement_id: str
    period_start: dt.datetime
    threshold_bytes: int


@dataclass(frozen=True)
class MonthSnapshot:
    """What the live query had counted, and who owned which records, at one instant.

    Attributes:
        offsets: per feed and partition the offset up to which the live query had counted.
        since, until: from when to when the month's billing periods reach, in whole hours; equal if there are none.
        spans: how many ownership spans the month's billing periods have.
    """

    offsets: Mapping[str, Offsets]
    since: dt.datetime
    until: dt.datetime
    spans: int


@dataclass(frozen=True)
class PlanDifference:
    """The total of a billing period, live and recomputed, where the two differ."""

    agreement_id: str
    period_start: dt.datetime
    before: int
    after: int


@dataclass(frozen=True)
class Corrected:
    """What was corrected, or with ``dry_run`` would have been.

    Attributes:
        changed: how many billing periods.
        differences: the first of them.
        events: the events that were written to the outbox.
    """

    changed: int
    differences: tuple[PlanDifference, ...]
    events: Sequence[ThresholdEvent]


@dataclass
class PlanStore:
    """Data plan totals of the billing periods of a month.

    Key: (agreement, period). Totals are corrected by their differences to a snapshot, under the ledger's lock: what the
    live query counts meanwhile stays. Done again it changes nothing and emits nothing.

    Attributes:
        keepers: read what else is to be kept as of the snapshot, in its transaction.
    """

    month: Month
    connection: Connection = field(repr=False)
    lease: Lease = field(repr=False)
    keepers: Sequence[Callable[[Connection], None]] = ()

    def snapshot(self) -> MonthSnapshot:
        """Read the ledger, stage the ownership spans of the month, and keep its live totals, all at one instant."""
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            years = Years(self.month.year, self.month.year)
            calendars = self.connection.execute(SQL["calendars"]).all()
            ensure_periods(self.connection, {Calendar(row.time_zone, row.anchor_day): years for row in calendars})
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            self.connection.execute(text("set transaction isolation level repeatable read"))
            offsets = self._offsets()
            self.connection.execute(SQL["stage_ownership"], self._of_month)
            self.connection.execute(SQL["keep_live_totals"], self._of_month)
            for keep in self.keepers:
                keep(self.connection)
            extent = self.connection.execute(SQL["ownership_extent"]).one()
        since = instant(extent.first_us or 0).replace(minute=0, second=0, microsecond=0)
        return MonthSnapshot(offsets, since, _next_hour(instant(extent.last_us or 0)), extent.spans)

    def missed(self, staged: Staged) -> list[Threshold]:
        """Thresholds that the recomputed totals reach and the live totals had not reached at the snapshot.

        Raises:
            TransientError: the staged rows are not the rows that Spark computed; run the job again.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin():
            require_all(self.connection, staged)
            rows = self.connection.execute(SQL["missed_thresholds"], {"attempt": staged.attempt})
            return [Threshold(row.agreement_id, row.period_start, row.threshold_bytes) for row in rows]

    def correct(
        self,
        staged: Staged,
        crossings: Mapping[Threshold, Crossing],
        *,
        now: dt.datetime,
        grace: dt.timedelta,
        dry_run: bool,
    ) -> Corrected:
        """Correct the live totals, emit missed thresholds, and close periods that are past their grace.

        Events are in the order: thresholds, amendments and corrections, closings.

        Args:
            staged: recomputed totals by billing period.
            crossings: the records that crossed missed thresholds.
            now: the wall clock, by which periods close.
        """
        with one_line_errors(self.connection.engine.url), self.connection.begin() as transaction:
            self.lease.check(self.connection)
            self.connection.execute(SQL["lock_ledger"], {"feeds": [AGREEMENTS.name, DATA_RECORDS.name]})
            self.connection.execute(SQL["find_differences"], {"attempt": staged.attempt})
            changed = self.connection.scalars(text("select count(*) from differences")).one()
            first = self.connection.execute(SQL["first_differences"], {"most": DIFFERENCES_SHOWN})
            differences = tuple(PlanDifference(*row) for row in first)
            self.connection.execute(SQL["open_periods_of_month"], {**self._of_month, "now": now})
            self.connection.execute(SQL["correct_totals"])
            events = [*self._thresholds(crossings), *self._amendments(), *self._closings(now - grace)]
            written = outbox.write(self.connection, events, source=SOURCE)
            if dry_run:
                transaction.rollback()
        return Corrected(changed, differences, written)

    @property
    def _of_month(self) -> dict[str, int]:
        return {"year": self.month.year, "month": self.month.month}

    def _offsets(self) -> dict[str, Offsets]:
        offsets: dict[str, Offsets] = {}
        for row in self.connection.execute(text("select feed, partition, next_offset from ledger")):
            offsets.setdefault(row.feed, {})[row.partition] = row.next_offset
        return offsets

    def _thresholds(self, crossings: Mapping[Threshold, Crossing]) -> Iterator[ThresholdEvent]:
        """As of the record that crossed; as of now where the history has none: then it crossed since the snapshot."""
        periods = self.connection.scalars(SQL["periods_to_judge"], self._of_month).all()
        for reached in reach_thresholds(self.connection, periods):
            threshold = Threshold(reached.agreement_id, reached.period_start, reached.threshold_bytes)
            yield reached.event(crossings.get(threshold))

    def _amendments(self) -> list[ThresholdEvent]:
        return amend(self.connection, self.connection.scalars(SQL["periods_to_amend"]).all())

    def _closings(self, until: dt.datetime) -> Iterator[ThresholdEvent]:
        more = True
        while more:
            month = (self.month.year, self.month.month)
            closed = close_periods(self.connection, until, most=_CLOSED_AT_ONCE, of_month=month)
            yield from closed.events
            more = closed.more


@contextmanager
def plan_store(
    engine: Engine,
    month: Month,
    lease: Lease | None = None,
    keepers: Sequence[Callable[[Connection], None]] = (),
) -> Iterator[PlanStore]:
    """The store of a month, for one monthly job at a time.

    Args:
        keepers: see ``PlanStore``.
        lease: of the run; without it, the store takes the job's lease itself.

    Raises:
        BytemeterError: another monthly job runs, or tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    with ExitStack() as resources:
        with one_line_errors(engine.url):
            connection = resources.enter_context(engine.connect())
            held = lease or resources.enter_context(leased_job(engine, connection, "monthly", Terms.of_job(_SILENT_S)))
            with connection.begin():
                held.transact_by(connection)
                connection.execute(SQL["clear_staged"])
        yield PlanStore(month, connection, held, keepers)


def _next_hour(at: dt.datetime) -> dt.datetime:
    hour = at.replace(minute=0, second=0, microsecond=0)
    return hour if hour == at else hour + dt.timedelta(hours=1)
