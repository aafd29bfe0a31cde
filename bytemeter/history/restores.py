"""Finds that somebody has brought back an older version of a table, which lacks what was committed since.

``RESTORE TABLE`` brings back the files of an older version, but not the versions of applications' transactions. So the
end offsets would say that the table holds records which it does not hold any more. The log tells of a restore; where
its part is gone, the number of records does, which each commit of a writer leaves among these versions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from bytemeter.errors import BytemeterError
from bytemeter.history import delta

# Operations that leave the rows of a table as they are; a compaction of ours is a manual update.
_KEEPS_ROWS = {
    "Manual Update", "OPTIMIZE", "REORG", "SET TBLPROPERTIES", "UNSET TBLPROPERTIES", "ADD COLUMNS", "VACUUM START",
    "VACUUM END",
}  # fmt: skip


@dataclass(frozen=True)
class Commits:
    """What the log says of the commits after a version.

    Attributes:
        lost: of each version that lacks records which the first one has, what was brought back.
        gap: whether the log lacks some of these commits: a checkpoint and the retention have passed them.
        keep_rows: whether no commit in the log has changed rows.
    """

    lost: Mapping[int, str]
    gap: bool
    keep_rows: bool


def require_no_loss(session: SparkSession, table: str, *, since: int, until: int, noted: int | None) -> int | None:
    """Require that the table holds what it held at a version.

    A restore to this version or a later one is fine, and takes back an earlier one that was not.

    Args:
        since: the version.
        until: the latest version.
        noted: how many records it held at the version; None if its writer has not noted it.

    Returns:
        How many records it holds; None if that is not known.

    Raises:
        BytemeterError: an older version was brought back.
    """
    commits = _commits(session, table, since, until)
    if until in commits.lost:
        whole = max(version for version in range(since, until) if version not in commits.lost)
        raise BytemeterError(
            f"{table} was restored to {commits.lost[until]}, which lacks records that were committed since; bring them "
            f"back by `RESTORE TABLE delta.`{table}` TO VERSION AS OF {whole}`, or start over with an empty "
            "BYTEMETER_HISTORY"
        )
    if commits.gap and noted is not None:
        held = count_records(session, table)
        if held is not None and held < noted:
            raise BytemeterError(
                f"{table} holds {held} records, its last writer has left {noted}: an older version was brought back, "
                "or rows were deleted, and Delta has deleted the part of the log that would tell; start over with an "
                "empty BYTEMETER_HISTORY"
            )
    return noted if commits.keep_rows else None


def count_records(session: SparkSession, table: str) -> int | None:
    """How many records the files of a table have; None if one does not say. Takes a Spark job."""
    records = F.get_json_object("stats", "$.numRecords").cast("long")
    row = delta.files(session, table).agg(F.sum(records), F.count_if(records.isNull())).first()
    return None if row is None or row[1] else int(row[0] or 0)


def _commits(session: SparkSession, table: str, since: int, until: int) -> Commits:
    lost: dict[int, str] = {}
    gap, keep_rows = False, True
    for version in range(since + 1, until + 1):
        info = delta.commit_info(session, table, version)
        operation, parameters = (info or {}).get("operation"), (info or {}).get("operationParameters")
        gap |= info is None
        keep_rows &= info is None or operation in _KEEPS_ROWS
        if operation == "RESTORE":
            target = _target(parameters or {})
            if target is None or target < since or target in lost:
                lost[version] = "an earlier time" if target is None else f"version {target}"
        elif version - 1 in lost:
            lost[version] = lost[version - 1]
    return Commits(lost, gap, keep_rows)


def _target(parameters: Mapping[str, Any]) -> int | None:
    """The version to which a table was restored; None if it was given as a time."""
    given = str(parameters.get("version") or "").strip('"')
    return int(given) if given.isdigit() else None
