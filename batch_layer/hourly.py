"""The hourly recompute: exact totals and quota breaches of whole hours, from the history into PostgreSQL."""

from __future__ import annotations

import datetime as dt
import secrets
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import groupby

from pyspark.sql import DataFrame, Observation, SparkSession
from pyspark.sql import functions as F

from batch_layer.records import settled_records
from batch_layer.store import STAGING, HourlyStore, Recomputed, Snapshot, Staged, hourly_store
from bytemeter.aggregations import totals
from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.feeds.feed import HOUR_S
from bytemeter.history import History
from bytemeter.logs import logger
from bytemeter.offset_log import Offsets
from bytemeter.postgres import database, jdbc_options
from bytemeter.settings import Settings

_WAIT_S = 300.0
_POLL_S = 1.0


@dataclass
class HourlyJob:
    """Recomputes hours of one feed.

    Delivery: each hour is replaced in one transaction by what the history holds of it, up to the offsets that the
    ledger had at the start; run twice, the rows are the same. With ``dry_run`` nothing is written.

    Attributes:
        wait_s: how long to wait for the history to hold what the ledger counted.
        cancel: set from another thread to give up the wait, and what was not begun.
    """

    session: SparkSession
    settings: Settings
    feed: Feed
    dry_run: bool = False
    wait_s: float = _WAIT_S
    cancel: threading.Event = field(default_factory=threading.Event)

    @property
    def history(self) -> History:
        """Where the records are."""
        return History(self.session, self.settings.require_history(), self.feed)

    def dirty_hours(self) -> list[dt.datetime]:
        """Starts of the hours with records that no recompute has seen."""
        with hourly_store(database(self.settings.require_database_url()), self.feed) as store:
            return store.snapshot().dirty

    def run(self, hours: Iterable[dt.datetime] | None = None) -> Recomputed:
        """Recompute the hours given, or all dirty ones.

        Raises:
            BytemeterError: the history stays behind the ledger, another hourly job runs, or tables are missing.
            TransientError: PostgreSQL cannot be reached.
        """
        result = Recomputed()
        with hourly_store(database(self.settings.require_database_url()), self.feed) as store:
            snapshot = store.snapshot()
            chosen = sorted(set(snapshot.dirty if hours is None else hours))
            if chosen:
                self._wait_for_history(snapshot.offsets)
            for _, day in groupby(chosen, key=dt.datetime.date):
                if not self.cancel.is_set():
                    result += self._recompute(store, list(day), snapshot)
        return result

    def _wait_for_history(self, counted: Offsets) -> None:
        deadline = time.monotonic() + self.wait_s
        while behind := _behind(self.history.end_offsets(), counted):
            if time.monotonic() > deadline:
                raise BytemeterError(
                    f"the history of {self.feed.name} is behind what was counted, by partition (history, counted): "
                    f"{behind}; run `bytemeter stream {self.feed.name}` with the same BYTEMETER_HISTORY, then again"
                )
            if self.cancel.wait(_POLL_S):
                return

    def _recompute(self, store: HourlyStore, hours: list[dt.datetime], snapshot: Snapshot) -> Recomputed:
        began = time.perf_counter()
        refused = self._jdbc("refused_events").where(F.col("feed") == self.feed.name)
        records = self.history.read().transform(
            settled_records(self.feed, hours=hours, below=snapshot.offsets, refused=refused)
        )
        staged = self._stage(records.transform(totals(self.feed, HOUR_S)))
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

    def _stage(self, rows: DataFrame) -> Staged:
        attempt, observed = secrets.randbits(62), Observation()
        counted = rows.observe(observed, F.count(F.lit(1)).alias("rows"))
        options = {**self._options(), "dbtable": STAGING, "options": f"-c bytemeter.attempt={attempt}"}
        counted.write.format("jdbc").options(**options).mode("append").save()
        return Staged(attempt, int(observed.get["rows"]))

    def _jdbc(self, table: str) -> DataFrame:
        return self.session.read.format("jdbc").options(**self._options(), dbtable=table).load()

    def _options(self) -> dict[str, str]:
        return jdbc_options(self.settings.require_database_url())


def _behind(history: Offsets, counted: Offsets) -> dict[int, tuple[int, int]]:
    return {p: (history.get(p, 0), offset) for p, offset in counted.items() if history.get(p, 0) < offset}
