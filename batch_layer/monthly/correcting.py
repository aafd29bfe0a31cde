"""Corrects, judges and closes the billing periods of a month, a few thousand at a time.

Between two pieces the live query counts. A piece is one transaction under the ledger's lock: its totals and its events
become visible together. If the process dies, what it has done stays, and the next run finds the rest.
"""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import NamedTuple

from sqlalchemy import Connection, text

from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, Feed
from bytemeter.leases.lease import Lease
from bytemeter.plans import outbox
from bytemeter.plans.events import Crossing, ThresholdEvent
from bytemeter.plans.judging import amend, close_periods, reach_thresholds
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "correcting.sql")
SOURCE = "batch"
# A few tenths of a second, for which a micro-batch waits.
AT_ONCE = 2_000


def lock_ledger(connection: Connection, *feeds: Feed) -> None:
    """Wait until no transaction counts these feeds, and keep others from it until the caller's transaction ends."""
    connection.execute(SQL["lock_ledger"], {"feeds": [feed.name for feed in feeds]})


class Threshold(NamedTuple):
    """A threshold of a billing period."""

    agreement_id: str
    period_start: dt.datetime
    threshold_bytes: int


@dataclass
class Correction:
    """Live totals corrected by their differences to a snapshot, and what follows from that.

    Key: (agreement, period). Done again it changes nothing and emits nothing.

    Attributes:
        crossings: the records that crossed thresholds which the live query missed.
        until: periods that end at or before it close.
        events: how many events of each type were written.
    """

    month: Month
    connection: Connection = field(repr=False)
    lease: Lease = field(repr=False)
    crossings: Mapping[Threshold, Crossing]
    until: dt.datetime
    events: Counter[str] = field(default_factory=Counter)

    def run(self, *, now: dt.datetime) -> None:
        """Correct the month. Events of an agreement are in the order: thresholds, amendments or corrections, closings.

        Reads the temporary table ``differences``.

        Args:
            now: the wall clock: periods that have begun are opened, so that they close, too.
        """
        for piece in self._pieces("last_piece_of_differences"):
            with self._piece():
                self.connection.execute(SQL["open_periods_of_piece"], {"piece": piece})
                self.connection.execute(SQL["correct_totals"], {"piece": piece})
                corrected = self.connection.scalars(SQL["corrected_periods"], {"piece": piece}).all()
                told = self.connection.scalars(SQL["periods_to_amend"], {"piece": piece}).all()
                self._write([*self._thresholds(corrected), *amend(self.connection, told)])
        self._judge_reached()
        self._open_unopened(now)
        self._close()

    def _judge_reached(self) -> None:
        """Emit thresholds that totals reach although nobody has said so."""
        reached = True
        while reached:
            with self._piece():
                usage_ids = self.connection.scalars(SQL["reached_periods"], {**self._of_month, "most": AT_ONCE}).all()
                self._write(self._thresholds(usage_ids))
            reached = len(usage_ids) == AT_ONCE

    def _open_unopened(self, now: dt.datetime) -> None:
        with one_line_errors(self.connection.engine.url), self._transaction():
            self.connection.execute(SQL["find_unopened"], {**self._of_month, "now": now, "at_once": AT_ONCE})
        for piece in self._pieces("last_piece_of_unopened"):
            with self._piece():
                self.connection.execute(SQL["open_unopened"], {"piece": piece})

    def _close(self) -> None:
        more = True
        while more:
            with self._piece():
                month = (self.month.year, self.month.month)
                closed = close_periods(self.connection, self.until, most=AT_ONCE, of_month=month)
                self._write(closed.events)
            more = closed.more

    def _thresholds(self, usage_ids: Iterable[int]) -> Iterator[ThresholdEvent]:
        """As of the record that crossed; as of now where the history has none: then it crossed since the snapshot."""
        for reached in reach_thresholds(self.connection, usage_ids):
            threshold = Threshold(reached.agreement_id, reached.period_start, reached.threshold_bytes)
            yield reached.event(self.crossings.get(threshold))

    def _write(self, events: Iterable[ThresholdEvent]) -> None:
        self.events.update(event.type for event in outbox.write(self.connection, list(events), source=SOURCE))

    def _pieces(self, last_piece: str) -> range:
        with one_line_errors(self.connection.engine.url), self._transaction():
            last = self.connection.scalar(SQL[last_piece])
        return range(0 if last is None else last + 1)

    @contextmanager
    def _piece(self) -> Iterator[None]:
        """A transaction of its own, in which nobody counts."""
        with one_line_errors(self.connection.engine.url), self._transaction():
            self.lease.check(self.connection)
            lock_ledger(self.connection, AGREEMENTS, DATA_RECORDS)
            yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self.connection.begin():
            yield

    @property
    def _of_month(self) -> dict[str, int]:
        return {"year": self.month.year, "month": self.month.month}


class Rehearsal(Correction):
    """A correction of copies: nobody waits for it, and nothing of it stays.

    Temporary tables hide the tables of the same names from its session, and go with its transaction.
    """

    def run(self, *, now: dt.datetime) -> None:
        """Correct copies of the month's periods, in one transaction that is rolled back."""
        with one_line_errors(self.connection.engine.url), self.connection.begin() as transaction:
            self.lease.check(self.connection)
            view = self.connection.scalar(text("select pg_get_viewdef('judged_periods'::regclass)"))
            self.connection.exec_driver_sql(SQL.raw("copy_tables"))
            self.connection.execute(SQL["copy_periods"], self._of_month)
            self.connection.exec_driver_sql(SQL.raw("copy_what_belongs_to_them"))
            self.connection.exec_driver_sql(f"create temporary view judged_periods as {view}")
            super().run(now=now)
            transaction.rollback()

    @contextmanager
    def _piece(self) -> Iterator[None]:
        yield

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        yield
