"""Writes full segments and drops what the horizon has passed, by a thread and connections of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import first_line
from bytemeter.logs import logger
from bytemeter.sql import Statements
from speed_layer.dedup import packs
from speed_layer.dedup.filter import Keys, filter_of
from speed_layer.dedup.packs import Entries
from speed_layer.dedup.segments import FullSegment

SQL = Statements(__package__, "seen_ids.sql")
# Whoever reads a table that is to be dropped, such as a backup, is not waited for: it is dropped an hour later.
_LOCK_TIMEOUT = "set local lock_timeout = '1s'"


@dataclass
class SegmentStore:
    """The tables of a feed's full segments.

    Its work is done in the order in which it was asked for, each piece in a transaction of its own. A segment that is
    written is not counted yet: nobody sees it until the transaction that counts its records has committed.

    Attributes:
        feed: the name of the feed.
    """

    feed: str
    _thread: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "ids"), repr=False)
    _era: int | None = field(default=None, repr=False)
    _generation: int = field(default=0, repr=False)

    def write(self, engine: Engine, era: int, hour: int, entries: Entries, keys: Keys) -> Future[FullSegment]:
        """Write a full segment of one event hour, in the generation of an era.

        Args:
            entries: from 1 to ``CAPACITY``. They must not change until the segment is written; neither may ``keys``.
        """
        return self._thread.submit(self._write, engine, era, hour, entries, keys)

    def drop_passed(self, engine: Engine, era: int) -> None:
        """Drop the segments that the committed horizon has passed. A failure is only logged: they are dropped later."""
        self._thread.submit(self._logged, self._drop_passed, engine, era)

    def remove(self, engine: Engine, segments: Sequence[int]) -> None:
        """Remove open segments that were replaced in a transaction that is committed. A failure is only logged."""
        self._thread.submit(self._logged, self._remove, engine, segments)

    def remove_uncounted(self, connection: Connection) -> None:
        """Remove the segments that nobody sees. Only the process that counts the feed may do so, at its start."""
        rows = connection.execute(SQL["remove_all_uncounted_segments"], {"feed": self.feed}).all()
        for generation in {row.generation for row in rows}:
            segments = [row.segment for row in rows if row.generation == generation]
            packs.delete_segments(connection, generation, segments)

    def _write(self, engine: Engine, era: int, hour: int, entries: Entries, keys: Keys) -> FullSegment:
        if self._era != era:
            with engine.begin() as connection:
                self._generation = connection.scalar(SQL["generation_of_era"], {"feed": self.feed, "era": era}) or 0
            self._era = era
        stored_filter = filter_of(keys)
        with engine.begin() as connection:
            columns = {"feed": self.feed, "generation": self._generation, "hour": hour}
            segment = int(connection.scalars(SQL["create_full_segment"], columns).one())
            fences = packs.write_sorted(connection, self._generation, segment, entries, keys, stored_filter)
        return FullSegment(segment, self._generation, hour, stored_filter, fences)

    def _drop_passed(self, engine: Engine, era: int) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(_LOCK_TIMEOUT)
            passed = list(connection.scalars(SQL["remove_passed_open_segments"], {"feed": self.feed}))
            packs.delete_segments(connection, None, passed)
        with engine.begin() as connection:
            generations = list(connection.scalars(SQL["passed_generations"], {"feed": self.feed, "era": era}))
        for generation in generations:
            with engine.begin() as connection:
                connection.exec_driver_sql(_LOCK_TIMEOUT)
                connection.execute(SQL["drop_generation"], {"generation": generation})
            logger().info("dropped ids behind the horizon", feed=self.feed, generation=generation)

    def _remove(self, engine: Engine, segments: Sequence[int]) -> None:
        with engine.begin() as connection:
            connection.exec_driver_sql(_LOCK_TIMEOUT)
            removed = list(connection.scalars(SQL["remove_uncounted_segments"], {"segments": list(segments)}))
            packs.delete_segments(connection, None, removed)

    def _logged(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except DBAPIError as error:
            reason = first_line(error.orig)
            logger().warning("ids behind the horizon not dropped yet", feed=self.feed, reason=reason)
