"""The monthly job's tables of data plans: live totals are corrected, missed thresholds found, periods closed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine, text

from batch_layer.monthly.correcting import AT_ONCE, Correction, Rehearsal, Threshold
from batch_layer.months import Month
from batch_layer.postgres.staging import Staged, require_all
from batch_layer.postgres.totals import DIFFERENCES_SHOWN
from bytemeter.leases.lease import Lease, Terms, leased_job
from bytemeter.offset_log import Offsets
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.plans.events import Crossing
from bytemeter.plans.periods import instant
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "store.sql")

__all__ = ["Corrected", "MonthSnapshot", "PlanDifference", "PlanStore", "Threshold", "plan_store"]

# Of a lease that a store takes itself; see BYTEMETER_LEASE_S.
_SILENT_S = 30.0


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
        events: how many events of each type were written to the outbox.
    """

    changed: int
    differences: tuple[PlanDifference, ...]
    events: dict[str, int]


@dataclass
class PlanStore:
    """Data plan totals of the billing periods of a month.

    Key: (agreement, period). Totals are corrected by their differences to a snapshot, a few thousand in one transaction
    under the ledger's lock: what the live query counts meanwhile stays. Done again it changes and emits nothing.

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
        """Correct the live totals, emit missed thresholds, and close periods that are past their grace, in pieces.

        With ``dry_run`` on copies: it locks and writes nothing. See ``batch_layer.monthly.correcting``.

        Args:
            staged: recomputed totals by billing period.
            crossings: the records that crossed missed thresholds.
            now: the wall clock, by which periods close.
        """
        connection = self.connection
        with one_line_errors(connection.engine.url), connection.begin():
            connection.execute(SQL["find_differences"], {"attempt": staged.attempt, "at_once": AT_ONCE})
            changed = connection.scalars(text("select count(*) from differences")).one()
            first = connection.execute(SQL["first_differences"], {"most": DIFFERENCES_SHOWN})
            differences = tuple(PlanDifference(*row) for row in first)
        kind = Rehearsal if dry_run else Correction
        correction = kind(self.month, connection, self.lease, crossings, now - grace)
        correction.run(now=now)
        return Corrected(changed, differences, dict(correction.events))

    @property
    def _of_month(self) -> dict[str, int]:
        return {"year": self.month.year, "month": self.month.month}

    def _offsets(self) -> dict[str, Offsets]:
        offsets: dict[str, Offsets] = {}
        for row in self.connection.execute(text("select feed, partition, next_offset from ledger")):
            offsets.setdefault(row.feed, {})[row.partition] = row.next_offset
        return offsets


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
