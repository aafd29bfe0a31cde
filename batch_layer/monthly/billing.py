"""The month of billable events: live totals are corrected to what the recompute found, and invoices are made of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine

from batch_layer.history.billing import billable_events
from batch_layer.history.records import CountedRecords
from batch_layer.monthly import invoices
from batch_layer.monthly.correcting import lock_ledger
from batch_layer.months import Month, parse_month
from batch_layer.postgres.staging import Staged, require_all, stage
from bytemeter.billing.zone import require_billing_zone
from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.jdbc import jdbc_options
from bytemeter.postgres import one_line_errors
from bytemeter.settings import Settings
from bytemeter.sql import Statements
from bytemeter.windows import BillingMonth

SQL = Statements(__package__, "billing.sql")
_STAGED = "staged_billable"


@dataclass(frozen=True)
class Billed:
    """What was done about a month's billable events, or with ``dry_run`` would have been.

    Attributes:
        corrected: how many live totals.
        invoices: how many invoices and amendments were made, by state.
    """

    corrected: int
    invoices: dict[str, int]


def dirty_months(engine: Engine, before: dt.datetime) -> list[Month]:
    """The billing months that a run would change, of those that were over at an instant; the oldest first.

    Raises:
        TransientError: PostgreSQL cannot be reached.
    """
    with one_line_errors(engine.url), engine.connect() as connection:
        return [parse_month(name) for name in connection.scalars(SQL["dirty_months"], {"before": before})]


@dataclass
class MonthOfBilling:
    """The month in the billing zone.

    Attributes:
        month: its name, such as ``2026-11``.
        start, end: its bounds, in UTC.
        final: whether it is past its grace: invoices are issued.
        at: the instant of the snapshot.
        version: of the month's events at the snapshot; see ``billing_months``.
        billed: what was done; None if no billable event was ever counted.
    """

    month: str
    zone: str
    start: dt.datetime
    end: dt.datetime
    final: bool
    at: dt.datetime | None = field(default=None, init=False)
    version: int = field(default=0, init=False)
    billed: Billed | None = field(default=None, init=False)

    @classmethod
    def of(cls, settings: Settings, month: Month, now: dt.datetime) -> MonthOfBilling:
        """The month in the zone of the settings, at an instant of the wall clock."""
        zone, grace = settings.billing_zone, dt.timedelta(seconds=settings.period_grace_s)
        start, end = BillingMonth(zone).bounds(month.year, month.month)
        return cls(str(month), zone, start, end, now >= end + grace)

    def keep(self, connection: Connection) -> None:
        """Keep the live totals of the month as of the caller's transaction, for ``bill``.

        Raises:
            BytemeterError: the database counts in another billing zone.
        """
        require_billing_zone(connection, self.zone)
        connection.execute(SQL["keep_then"], {"month": self.start})
        self.at = connection.scalars(SQL["snapshot_at"]).one()
        self.version = connection.scalar(SQL["version"], {"month": self.start}) or 0

    def stage(self, records: CountedRecords, connection: Connection) -> Staged:
        """Stage the events of the month that count."""
        with connection.begin():
            connection.execute(invoices.SQL["clear_staged"])
        events = billable_events(records, self.start, self.end)
        return stage(events, _STAGED, jdbc_options(connection))

    def bill(self, connection: Connection, events: Staged) -> None:
        """Correct the live totals and make the invoices, in the caller's transaction. Done again it changes nothing.

        Reads the temporary table ``recomputed`` and the staged events.

        Raises:
            TransientError: the staged events are not those that Spark counted; run the job again.
        """
        require_all(connection, events)
        corrected = self._correct(connection)
        self.billed = Billed(corrected, invoices.make(connection, self.month, events, final=self.final))

    def _correct(self, connection: Connection) -> int:
        """Add to the live totals what the recompute found and they had not at the snapshot.

        What was counted since the snapshot stays.
        """
        lock_ledger(connection, BILLABLE_EVENTS)
        of_month = {"month": self.start}
        connection.execute(SQL["find_corrections"])
        corrected = connection.execute(SQL["correct_live"], of_month).rowcount
        connection.execute(SQL["remove_gone"], of_month)
        connection.execute(SQL["note_recompute"], {**of_month, "at": self.at, "corrected": corrected})
        connection.execute(SQL["mark_billed"], {**of_month, "at": self.at, "version": self.version})
        return corrected
