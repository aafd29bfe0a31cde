"""Deletes the data files that no version of a table within the retention has, by one listing of its folder.

Delta's own VACUUM lists each hour's folder by itself: in a bucket that takes minutes for a year.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote

from pyarrow.fs import FileInfo, FileSelector, FileType

from bytemeter.history import delta
from bytemeter.history.feed_table import FeedTable
from bytemeter.history.storage import filesystem_of

_LOG = "_delta_log"
# A file that was never committed may be about to be, however short the retention is.
_YOUNG = dt.timedelta(hours=24)
_DELETERS = 16


@dataclass(frozen=True)
class Listing:
    """What is in the folder of a table.

    Attributes:
        data: by path below the table's folder, all files but those of the log.
        log: the names of the log's files.
    """

    data: dict[str, FileInfo]
    log: list[str]

    @classmethod
    def of(cls, table: FeedTable) -> Listing:
        """List the folder of a table."""
        filesystem, root = filesystem_of(table.path)
        found = filesystem.get_file_info(FileSelector(root, recursive=True))
        files = {file.path[len(root) + 1 :]: file for file in found if file.type == FileType.File}
        log = [path for path in files if path.startswith(f"{_LOG}/")]
        return cls({path: file for path, file in files.items() if _is_data(path)}, log)

    def commits_since_checkpoint(self) -> bool:
        """Whether the log has a commit that is later than its last checkpoint."""
        names = [path.removeprefix(f"{_LOG}/").split(".") for path in self.log]
        versions = [(int(name[0]), name[1:]) for name in names if name[0].isdigit()]
        commits = [version for version, kind in versions if kind == ["json"]]
        checkpoints = [version for version, kind in versions if kind[0] == "checkpoint"]
        return max(commits, default=-1) > max(checkpoints, default=-1)


@dataclass(frozen=True)
class Vacuum:
    """Deletes files that nobody reads any more.

    A file stays if the table has it, if a version within the retention had it, or if it is younger than the retention
    and a day: a writer may be about to commit it. A reader of an older version within the retention still reads.

    Attributes:
        now: the clock.
        retention: how long a file stays that was removed from the table.
        dry_run: only say what would be deleted.
    """

    table: FeedTable
    now: dt.datetime
    retention: dt.timedelta
    dry_run: bool = False

    def run(self, listing: Listing) -> list[FileInfo]:
        """Delete files, and return which.

        Args:
            listing: of before now: what was committed since is known to the table's latest version.
        """
        unneeded = self._unneeded(listing)
        if not self.dry_run:
            filesystem, _ = filesystem_of(self.table.path)

            def delete(file: FileInfo) -> None:
                # Another vacuum may have deleted it.
                with suppress(FileNotFoundError):
                    filesystem.delete_file(file.path)

            with ThreadPoolExecutor(_DELETERS, "deleting") as threads:
                list(threads.map(delete, unneeded))
        return unneeded

    def _unneeded(self, listing: Listing) -> list[FileInfo]:
        kept_since, young_since = self.now - self.retention, self.now - max(self.retention, _YOUNG)
        old = {path: file for path, file in listing.data.items() if file.mtime < kept_since}
        if not old:
            return []
        session, path = self.table.session, self.table.path
        present = self._below(row.path for row in delta.files(session, path).select("path").collect())
        gone = delta.removed_files(session, path).select("path", "deletionTimestamp").collect()
        removed = dict(zip(self._below(row.path for row in gone), (row.deletionTimestamp for row in gone), strict=True))
        kept_since_ms = int(kept_since.timestamp() * 1000)
        in_use = set(present)
        return [
            file
            for name, file in old.items()
            if name not in in_use and (removed[name] < kept_since_ms if name in removed else file.mtime < young_since)
        ]

    def _below(self, paths: Iterable[str]) -> list[str]:
        """Paths of Delta's log as paths below the table's folder; they are URIs, rarely absolute ones."""
        _, root = filesystem_of(self.table.path)
        return [unquote(path).rpartition(f"{root}/")[2] for path in paths]


def _is_data(path: str) -> bool:
    """Whether it is a data file: neither the log, nor what other tools keep beside, such as deletion vectors."""
    return path.endswith(".parquet") and not path.startswith(("_", "."))
