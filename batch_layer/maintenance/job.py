"""Maintains the history: compacts its tables, cleans their logs, and deletes files that nobody reads."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass

from pyspark.sql import SparkSession

from batch_layer.maintenance.compaction import Compacted, Compaction
from batch_layer.maintenance.vacuum import Listing, Vacuum
from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS
from bytemeter.history import delta
from bytemeter.history.feed_table import FeedTable, retention_properties
from bytemeter.history.table import History, InvalidMessages
from bytemeter.logs import logger
from bytemeter.settings import Settings

_TRIES = 3


@dataclass(frozen=True)
class Maintained:
    """What was done to a table, or with ``dry_run`` would be.

    Attributes:
        before, after: files that the table consists of.
        size_before, size_after: their bytes.
        deleted, deleted_size: files deleted, and their bytes.
        log_before, log_after: files of its log.
    """

    table: str
    compacted: Compacted
    before: int
    after: int
    size_before: int
    size_after: int
    deleted: int
    deleted_size: int
    log_before: int
    log_after: int


@dataclass(frozen=True)
class MaintainJob:
    """Maintains the tables of all feeds, also beside the history query, recomputes, and another of its kind.

    Delivery: the rows of the tables stay the same, whenever it is interrupted. Run twice, the second run finds nothing
    to do.

    Attributes:
        now: the clock.
        quiet: see ``Compaction``.
        dry_run: change nothing.
    """

    session: SparkSession
    settings: Settings
    now: dt.datetime
    quiet: dt.timedelta
    dry_run: bool = False

    def run(self) -> Iterator[Maintained]:
        """Maintain one table after the other; those that do not exist yet are left out."""
        for feed in FEEDS.values():
            for kind in (History, InvalidMessages):
                table: FeedTable = kind(self.session, self.settings.require_history(), feed)
                if table.exists():
                    yield self._maintain(table)

    def _maintain(self, table: FeedTable) -> Maintained:
        before, size_before = _extent(table)
        if not self.dry_run:
            _keep_end_offsets(table)
            self._set_retention(table)
        compacted = Compaction(table, self.now, self.quiet, dry_run=self.dry_run).run()
        listing = Listing.of(table)
        log = len(listing.log)
        if not self.dry_run and listing.commits_since_checkpoint():
            delta.checkpoint(self.session, table.path)
            listing = Listing.of(table)
        retention = dt.timedelta(hours=self.settings.history_retention_h)
        deleted = Vacuum(table, self.now, retention, dry_run=self.dry_run).run(listing)
        after, size_after = _extent(table)
        if self.dry_run:
            after -= compacted.merged - compacted.written
        return Maintained(
            *(table.name, compacted, before, after, size_before, size_after),
            *(len(deleted), sum(file.size for file in deleted), log, len(listing.log)),
        )

    def _set_retention(self, table: FeedTable) -> None:
        found = delta.properties(self.session, table.path)
        wanted = retention_properties(self.settings.history_retention_h)
        changed = {name: value for name, value in wanted.items() if found.get(name) != value}
        if changed:
            try:
                delta.set_properties(self.session, table.path, changed)
            except delta.ConflictError as error:
                # The next run sets them.
                logger().warning("retention not set", table=table.name, reason=str(error))


def _keep_end_offsets(table: FeedTable) -> None:
    for attempt in range(1, _TRIES + 1):
        try:
            table.keep_end_offsets()
        except BytemeterError:
            # The history query has committed at the same time, and its commit keeps them, too.
            if attempt == _TRIES:
                raise
        else:
            return


def _extent(table: FeedTable) -> tuple[int, int]:
    """How many files a table consists of, and their bytes."""
    (row,) = (
        delta.files(table.session, table.path).selectExpr("count(*) files", "coalesce(sum(size), 0) size").collect()
    )
    return row.files, row.size
