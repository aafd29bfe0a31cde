"""The monthly job: recomputes the totals of a month and of its billing periods, judges thresholds, closes periods."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass, field

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from batch_layer.history.coverage import WAIT_S, wait_until_covered
from batch_layer.history.plans import broadcast_if_few, crossings, data_records, owned_records, totals_by_period
from batch_layer.history.records import CountedRecords, counted_records
from batch_layer.history.spans import Span
from batch_layer.history.totals import totals_by_window
from batch_layer.monthly.billing import Billed, MonthOfBilling
from batch_layer.monthly.invoices import export
from batch_layer.monthly.store import (
    Corrected,
    MonthSnapshot,
    PlanDifference,
    PlanStore,
    Threshold,
    plan_store,
)
from batch_layer.months import Month
from batch_layer.postgres.counted import counted_topics, read_counted_offsets
from batch_layer.postgres.staging import Staged, require_all, stage
from batch_layer.postgres.totals import Compared, Difference, compare, write
from bytemeter.ending import Interrupted
from bytemeter.feeds import BILLABLE_EVENTS, DATA_RECORDS, FEEDS, Feed, TotalsTable
from bytemeter.history.access import require_access
from bytemeter.history.table import History
from bytemeter.jdbc import jdbc_options
from bytemeter.kafka import Kafka
from bytemeter.leases.lease import Lease
from bytemeter.logs import logger
from bytemeter.plans.events import Crossing
from bytemeter.plans.outbox import Outbox
from bytemeter.plans.periods import instant
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings

_STAGED_TOTALS, _STAGED_PLANS, _OWNERSHIP = "staged_monthly", "staged_plan_usage", "monthly_ownership"


@dataclass(frozen=True)
class MonthRecomputed:
    """What a monthly recompute did, or with ``dry_run`` would have done.

    Attributes:
        totals: how many totals of the month are new, gone or different.
        total_differences: the first of them.
        plans: how many billing periods have another total or latest record than the live query had counted.
        plan_differences: the first of them.
        events: how many events of each type were emitted.
        billed: what was done about billable events; None if none was ever counted.
    """

    totals: int
    total_differences: tuple[Difference, ...]
    plans: int
    plan_differences: tuple[PlanDifference, ...]
    events: dict[str, int]
    billed: Billed | None = None

    @staticmethod
    def of(totals: Compared, plans: Corrected, billed: Billed | None) -> MonthRecomputed:
        """The outcome of the month's totals, of its billing periods and of its invoices."""
        return MonthRecomputed(
            totals.changed, totals.differences, plans.changed, plans.differences, plans.events, billed
        )


@dataclass
class MonthlyJob:
    """Recomputes a month.

    Delivery: the totals of the month are replaced in one transaction, and those of billing periods corrected in
    pieces, each with its events, by what the history holds up to the offsets that the ledger had at the start. Run
    twice, rows and events are the same. With ``dry_run`` nothing is written and nothing published.

    Attributes:
        now: the wall clock, by which periods close.
        wait_s: how long to wait for the history to hold what the ledger counted.
        lease: of the run; without it the job takes its lease itself.
        cancel: set from another thread to give up the wait, and what was not begun.
    """

    session: SparkSession
    settings: Settings
    month: Month
    now: dt.datetime
    dry_run: bool = False
    wait_s: float = WAIT_S
    lease: Lease | None = None
    cancel: threading.Event = field(default_factory=threading.Event)

    def run(self) -> MonthRecomputed:
        """Recompute the month, and publish the events before returning.

        Raises:
            Interrupted: it was cancelled; what was done by then stays.
            BytemeterError: the history stays behind the ledger, another monthly job runs, or tables are missing.
            TransientError: PostgreSQL or Kafka cannot be reached; events that were written wait in the outbox, and the
                next run publishes them.
        """
        engine = database(self.settings.require_database_url())
        outbox = Outbox(Kafka(self.settings), engine)
        if not self.dry_run:
            outbox.publish()
        began = time.perf_counter()
        billing = MonthOfBilling.of(self.settings, self.month, self.now)
        with plan_store(engine, self.month, self.lease, [billing.keep]) as store:
            snapshot = store.snapshot()
            compared = self._totals(store, snapshot, billing)
            corrected = self._plans(store, snapshot)
            if billing.billed and not self.dry_run:
                with one_line_errors(store.connection.engine.url):
                    export(store.connection, billing.month, self.settings.require_history())
        if not self.dry_run:
            outbox.publish()
            outbox.close()
        result = MonthRecomputed.of(compared, corrected, billing.billed)
        logger().info(
            "recomputed",
            month=str(self.month),
            totals=result.totals,
            plans=result.plans,
            events=result.events,
            dry_run=self.dry_run,
            ms=round(1000 * (time.perf_counter() - began)),
        )
        return result

    def _totals(self, store: PlanStore, snapshot: MonthSnapshot, billing: MonthOfBilling) -> Compared:
        """Replace the month's totals of each feed that has monthly totals and has counted records."""
        compared = Compared(0, ())
        for feed in (feed.in_zone(self.settings.billing_zone) for feed in FEEDS.values()):
            if feed.totals and feed.totals.monthly and feed.name in snapshot.offsets:
                compared += self._totals_of(feed, feed.totals.monthly, store, snapshot, billing)
        return compared

    def _totals_of(
        self, feed: Feed, into: TotalsTable, store: PlanStore, snapshot: MonthSnapshot, billing: MonthOfBilling
    ) -> Compared:
        start, end = into.month(self.month.year, self.month.month)
        records = self._records(feed, Span.around(start, end), store, snapshot)
        totals = totals_by_window(records, into.window).where(F.col("window_s") == int(start.timestamp()))
        connection = store.connection
        if feed.name == BILLABLE_EVENTS.name and not self.dry_run:
            # Its invoices are written to the history, which recomputes only read otherwise.
            require_access(self.session, self.settings.require_history(), writes=True)
        staged = stage(totals, _STAGED_TOTALS, jdbc_options(connection))
        events = billing.stage(records, connection) if feed.name == BILLABLE_EVENTS.name else None
        with one_line_errors(connection.engine.url), connection.begin() as transaction:
            store.lease.check(connection)
            require_all(connection, staged)
            compared = compare(connection, staged, feed, into, [start])
            write(connection, feed, into)
            if events:
                billing.bill(connection, events)
            if self.dry_run:
                transaction.rollback()
        return compared

    def _plans(self, store: PlanStore, snapshot: MonthSnapshot) -> Corrected:
        """Correct the totals of the month's billing periods, and emit what follows from them."""
        grace = dt.timedelta(seconds=self.settings.period_grace_s)
        if DATA_RECORDS.name in snapshot.offsets and snapshot.since < snapshot.until:
            owned = self._owned(store, snapshot)
            staged = stage(totals_by_period(owned, most=snapshot.spans), _STAGED_PLANS, jdbc_options(store.connection))
            crossed = self._crossings(owned, store.missed(staged))
        else:
            staged, crossed = Staged(_STAGED_PLANS, 0, 0), {}
        return store.correct(staged, crossed, now=self.now, grace=grace, dry_run=self.dry_run)

    def _owned(self, store: PlanStore, snapshot: MonthSnapshot) -> DataFrame:
        """The month's data records, each with the billing period that owns it."""
        ownership = (
            self.session.read.format("jdbc").options(**jdbc_options(store.connection), dbtable=_OWNERSHIP).load()
        )
        records = self._records(DATA_RECORDS, Span(snapshot.since, snapshot.until), store, snapshot)
        return data_records(records).transform(owned_records(broadcast_if_few(ownership, snapshot.spans)))

    def _crossings(self, owned: DataFrame, missed: list[Threshold]) -> dict[Threshold, Crossing]:
        """The records that crossed thresholds which the live query missed."""
        if not missed:
            return {}
        thresholds = self.session.createDataFrame(
            missed, "agreement_id string, period_start timestamp, threshold_bytes long"
        )
        return {
            Threshold(row.agreement_id, row.period_start.astimezone(dt.UTC), row.threshold_bytes): Crossing(
                row.total, instant(row.event_us), row.internal_id
            )
            for row in owned.transform(crossings(thresholds)).collect()
        }

    def _records(self, feed: Feed, span: Span, store: PlanStore, snapshot: MonthSnapshot) -> CountedRecords:
        history = History(self.session, self.settings.require_history(), feed)
        below = snapshot.offsets[feed.name]
        topics = counted_topics(store.connection, feed)
        wait_until_covered(history, below, wait_s=self.wait_s, topic_ids=topics, cancel=self.cancel)
        if self.cancel.is_set():
            raise Interrupted("its caller")
        return counted_records(history, span, read_counted_offsets(store.connection, feed, span, below))
