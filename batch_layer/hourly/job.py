"""The hourly recompute: exact totals and quota breaches of whole hours, from the history into PostgreSQL."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import groupby

from pyspark.sql import SparkSession

from batch_layer.history.coverage import WAIT_S, wait_until_covered
from batch_layer.history.records import counted_records
from batch_layer.history.spans import Span
from batch_layer.history.totals import totals_by_window
from batch_layer.hourly.store import STAGING, HourlyStore, Recomputed, Snapshot, hourly_store
from batch_layer.postgres.counted import counted_topics, read_counted_offsets
from batch_layer.postgres.staging import stage
from bytemeter.feeds import Feed
from bytemeter.history.table import History
from bytemeter.jdbc import jdbc_options
from bytemeter.leases.lease import Lease
from bytemeter.logs import logger
from bytemeter.postgres import database
from bytemeter.settings import Settings


@dataclass
class HourlyJob:
    """Recomputes hours of one feed.

    Delivery: the totals of each hour are replaced, in one transaction per day, by what the history holds up to the
    offsets that the ledger had at the snapshot. Run twice, the rows are the same. With ``dry_run`` nothing is written.

    Attributes:
        feed: one that has hourly totals.
        wait_s: how long to wait, in seconds, until the history covers the ledger's offsets.
        cancel: set from another thread to give up the wait, and the days that were not begun.
        lease: of the run; without it the job takes its lease itself.
    """

    session: SparkSession
    settings: Settings
    feed: Feed
    dry_run: bool = False
    wait_s: float = WAIT_S
    cancel: threading.Event = field(default_factory=threading.Event)
    lease: Lease | None = None

    @property
    def history(self) -> History:
        """The history of the feed."""
        return History(self.session, self.settings.require_history(), self.feed)

    def snapshot(self) -> Snapshot:
        """What is counted now, for a later ``run``.

        Raises:
            BytemeterError: see ``run``.
            TransientError: PostgreSQL cannot be reached.
        """
        with self._store() as store:
            return store.snapshot()

    def run(
        self,
        hours: Iterable[dt.datetime] | None = None,
        *,
        dirty_before: dt.datetime | None = None,
        snapshot: Snapshot | None = None,
    ) -> Recomputed:
        """Recompute hours, given by their starts; without ``hours`` all dirty hours.

        Args:
            dirty_before: of the dirty hours only those that begin before it.
            snapshot: up to where records count; by default what is counted now.

        Raises:
            BytemeterError: the feed has no hourly totals, the history stays behind the ledger, another hourly job runs,
                or tables are missing.
            TransientError: PostgreSQL cannot be reached.
        """
        result = Recomputed()
        with self._store() as store:
            snapshot = snapshot or store.snapshot()
            dirty = [hour for hour in snapshot.dirty if dirty_before is None or hour < dirty_before]
            chosen = sorted(set(dirty if hours is None else hours))
            if chosen:
                topics = counted_topics(store.connection, self.feed)
                wait_until_covered(
                    self.history, snapshot.offsets, wait_s=self.wait_s, topic_ids=topics, cancel=self.cancel
                )
            for _, day in groupby(chosen, key=dt.datetime.date):
                if not self.cancel.is_set():
                    result += self._recompute(store, list(day), snapshot)
        return result

    def _store(self) -> AbstractContextManager[HourlyStore]:
        return hourly_store(database(self.settings.require_database_url()), self.feed, self.lease)

    def _recompute(self, store: HourlyStore, hours: list[dt.datetime], snapshot: Snapshot) -> Recomputed:
        began = time.perf_counter()
        span = Span.of_hours(hours)
        counted = read_counted_offsets(store.connection, self.feed, span, snapshot.offsets)
        totals = totals_by_window(counted_records(self.history, span, counted), store.table.window)
        staged = stage(totals, STAGING, jdbc_options(store.connection))
        done_staging = time.perf_counter()
        result = store.replace(hours, staged, snapshot, dry_run=self.dry_run)
        logger().info(
            "recomputed",
            feed=self.feed.name,
            first=hours[0].isoformat(),
            hours=result.hours,
            changed=result.changed,
            breaches=result.breaches,
            dry_run=self.dry_run,
            spark_ms=round(1000 * (done_staging - began)),
            commit_ms=round(1000 * (time.perf_counter() - done_staging)),
        )
        return result
