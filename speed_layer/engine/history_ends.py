"""Notes in PostgreSQL how far the history reaches, so that `bytemeter status` needs neither Spark nor the bucket."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.logs import logger
from bytemeter.offset_log import Offsets
from bytemeter.postgres import one_line_errors

_NOTE = text(
    "insert into history_ends values (:feed, :partition, :end_offset, now()) on conflict (feed, partition)"
    " do update set end_offset = excluded.end_offset, committed_at = excluded.committed_at"
)


@dataclass
class HistoryEnds:
    """The end offsets of a feed's history, for people only: no job reads them."""

    engine: Engine
    feed: Feed

    def note(self, end: Offsets) -> None:
        """Note the end offsets of a commit. The commit stands also where PostgreSQL is away, or not migrated."""
        rows = [{"feed": self.feed.name, "partition": p, "end_offset": offset} for p, offset in end.items()]
        try:
            with one_line_errors(self.engine.url), self.engine.begin() as connection:
                connection.execute(_NOTE, rows)
        except (BytemeterError, SQLAlchemyError) as error:
            logger().debug("end of the history not noted", reason=str(error))
