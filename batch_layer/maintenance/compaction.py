"""Compacts a table of the history: executors merge the files of quiet hours, the driver commits what replaces what."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_

import pyarrow as pa
from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema, to_arrow_schema
from pyspark.sql.types import StructType

from batch_layer.maintenance.merging import MERGED, merge_files
from batch_layer.maintenance.plan import MOST_FILES, Merge, StoredFile, chosen_files, transactions
from bytemeter.errors import BytemeterError
from bytemeter.executors import map_shares
from bytemeter.history import delta
from bytemeter.history.feed_table import FeedTable, addition
from bytemeter.history.writing import Written
from bytemeter.logs import logger

# Of folders whose files are listed together.
_LISTED_FILES = 20_000


@dataclass(frozen=True)
class Compacted:
    """What a compaction has done.

    Attributes:
        folders: how many hours, or days of invalid messages, were compacted.
        merged, written: how many files were replaced by how many.
        left: merges that were given up, because another process had removed the files.
    """

    folders: int = 0
    merged: int = 0
    written: int = 0
    left: int = 0


@dataclass(frozen=True)
class Compaction:
    """Compacts a table.

    Delivery: each transaction replaces files by files with the same rows, or nothing. Interrupted at any moment, a
    table has the same rows as before; files that were not committed are deleted by a later vacuum. Appends at the same
    time stay. Of two compactions that merge the same files one gives these up.

    Attributes:
        now: the clock.
        quiet: how long after its end an hour is compacted. Of one that goes on, files that are older than this are.
        dry_run: only say what would be done.
    """

    table: FeedTable
    now: dt.datetime
    quiet: dt.timedelta
    dry_run: bool = False

    def run(self) -> Compacted:
        """Compact what has more than ``MOST_FILES`` files.

        Raises:
            BytemeterError: the table has columns that are stored by other names (column mapping).
        """
        merges = list(self._merges(self._columns()))
        done = Compacted(len({merge.folder for merge in merges}))
        for together in transactions(merges):
            done = self._merge(together, done)
        return done

    def _merge(self, merges: list[Merge], done: Compacted) -> Compacted:
        """Merge files and commit that, in one transaction."""
        files = sum(len(merge.files) for merge in merges)
        if not self.dry_run:
            rows = map_shares(
                self.table.session, list(enumerate(merges)), merge_files, from_arrow_schema(MERGED)
            ).collect()
            written = [Written(**{name: row[name] for name in row.asDict() if name != "merge"}) for row in rows]
            now_ms = int(self.now.timestamp() * 1000)
            removals = [_removal(merge, file, now_ms) for merge in merges for file in merge.files]
            additions = [addition(file, data_change=False) for file in written]
            try:
                delta.replace(self.table.session, self.table.path, removals, additions)
            except delta.ConflictError as error:
                logger().warning("not compacted", table=self.table.name, reason=str(error))
                return replace(done, left=done.left + len(merges))
        logger().info("compacted", table=self.table.name, files=files, into=len(merges))
        return replace(done, merged=done.merged + files, written=done.written + len(merges))

    def _columns(self) -> pa.Schema:
        if delta.properties(self.table.session, self.table.path).get("delta.columnMapping.mode", "none") != "none":
            raise BytemeterError(
                f"the history in {self.table.path} has columns that are stored by other names "
                "(delta.columnMapping.mode); write it anew without column mapping"
            )
        found = delta.schema(self.table.session, self.table.path) or StructType()
        stored = StructType([field for field in found if field.name not in self.table.partitioned_by])
        return to_arrow_schema(stored)

    def _merges(self, columns: pa.Schema) -> Iterator[Merge]:
        files = self._mergeable_files()
        counts = files.groupBy(*self.table.partitioned_by).count().where(F.col("count") > MOST_FILES).collect()
        for folders in _listed_together(counts):
            chosen = reduce(or_, (self._is_of(folder) for folder in folders))
            by_folder: dict[str, list[StoredFile]] = {}
            for row in files.where(chosen).collect():
                by_folder.setdefault(self._folder(row), []).append(StoredFile(row.path, row.size, row.modificationTime))
            for name, stored in sorted(by_folder.items()):
                for group in chosen_files(stored):
                    yield Merge(self.table.path, name, columns, group)

    def _mergeable_files(self) -> DataFrame:
        """Files of quiet folders, and old ones of folders that go on; none whose rows were deleted in part."""
        values = [F.col("partitionValues")[name].alias(name) for name in self.table.partitioned_by]
        found = delta.files(self.table.session, self.table.path).where("deletionVector is null")
        files = found.select("path", "size", "modificationTime", *values).dropna()
        folders = files.select(*self.table.partitioned_by).distinct().collect()
        going_on = [folder for folder in folders if self.table.end_of(folder.asDict()) > self.now - self.quiet]
        is_old = F.col("modificationTime") < int((self.now - self.quiet).timestamp() * 1000)
        goes_on = reduce(or_, (self._is_of(folder) for folder in going_on), F.lit(False))
        return files.where(~goes_on | is_old)

    def _is_of(self, folder: Row) -> Column:
        return reduce(and_, (F.col(name) == F.lit(folder[name]) for name in self.table.partitioned_by), F.lit(True))

    def _folder(self, row: Row) -> str:
        return "/".join(f"{name}={row[name]}" for name in self.table.partitioned_by)


def _listed_together(counts: Iterable[Row]) -> Iterator[list[Row]]:
    """Folders, as many at a time as have a bounded number of files."""
    together: list[Row] = []
    files = 0
    for row in counts:
        files += row["count"]
        if together and files > _LISTED_FILES:
            yield together
            together, files = [], row["count"]
        together.append(row)
    if together:
        yield together


def _removal(merge: Merge, file: StoredFile, now_ms: int) -> delta.Action:
    return {
        "remove": {
            "path": file.path,
            "deletionTimestamp": now_ms,
            "dataChange": False,
            "extendedFileMetadata": True,
            "partitionValues": dict(part.split("=") for part in merge.folder.split("/")),
            "size": file.size,
        }
    }
