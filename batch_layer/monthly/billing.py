"""The month of billable events: live totals are corrected to what the recompute found."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from sqlalchemy import Connection

from batch_layer.monthly.store import SQL as STORE_SQL
from batch_layer.months import Month
from bytemeter.billing.zone import require_billing_zone
from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.settings import Settings
from bytemeter.sql import Statements
from bytemeter.windows import BillingMonth

SQL = Statements(__package__, "billing.sql")


@dataclass
class MonthOfBilling:
    """The month in the billing zone.

    Attributes:
        start, end: its bounds, in UTC.
        at: the instant of the snapshot.
        corrected: how many live totals were corrected.
    """

    zone: str
    start: dt.datetime
    end: dt.datetime
    at: dt.datetime | None = field(default=None, init=False)
    corrected: int = field(default=0, init=False)

    @classmethod
    def of(cls, settings: Settings, month: Month) -> MonthOfBilling:
        """The month in the zone of the settings."""
        zone = settings.billing_zone
        return cls(zone, *BillingMonth(zone).bounds(month.year, month.month))

    def keep(self, connection: Connection) -> None:
        """Keep the live totals of the month as of the caller's transaction, for ``correct``.

        Raises:
            BytemeterError: the database counts in another billing zone.
        """
        require_billing_zone(connection, self.zone)
        connection.execute(SQL["keep_then"], {"month": self.start})
        self.at = connection.scalars(SQL["snapshot_at"]).one()

    def correct(self, connection: Connection) -> None:
        """Add to the live totals what the recompute found and they had not then, in the caller's transaction.

        What was counted since the snapshot stays. Reads the temporary table ``recomputed``; done again it changes
        nothing.
        """
        connection.execute(STORE_SQL["lock_ledger"], {"feeds": [BILLABLE_EVENTS.name]})
        of_month = {"month": self.start}
        connection.execute(SQL["find_corrections"])
        self.corrected = connection.execute(SQL["correct_live"], of_month).rowcount
        connection.execute(SQL["remove_gone"], of_month)
        connection.execute(SQL["note_recompute"], {**of_month, "at": self.at, "corrected": self.corrected})
