"""Finds that somebody has brought back an older version of a table, which lacks what was committed since.

``RESTORE TABLE`` brings back the files of an older version, but not the versions of applications' transactions. So the
end offsets would say that the table holds records which it does not hold any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.history import delta


def require_no_loss(session: SparkSession, table: str, *, since: int, until: int) -> None:
    """Require that the table holds what it held at a version.

    A restore to this version or a later one is fine, and takes back an earlier one that was not. Commits whose part of
    the log was deleted, because a checkpoint and the retention have passed it, are not looked at.

    Args:
        since: the version.
        until: the latest version.

    Raises:
        BytemeterError: an older version was brought back.
    """
    lost: dict[int, str] = {}
    for version in range(since + 1, until + 1):
        info = delta.commit_info(session, table, version) or {}
        if info.get("operation") == "RESTORE":
            target = _target(info.get("operationParameters") or {})
            if target is None or target < since or target in lost:
                lost[version] = "an earlier time" if target is None else f"version {target}"
        elif version - 1 in lost:
            lost[version] = lost[version - 1]
    if until in lost:
        whole = max(version for version in range(since, until) if version not in lost)
        raise BytemeterError(
            f"{table} was restored to {lost[until]}, which lacks records that were committed since; bring them back by "
            f"`RESTORE TABLE delta.`{table}` TO VERSION AS OF {whole}`, or start over with an empty BYTEMETER_HISTORY"
        )


def _target(parameters: Mapping[str, Any]) -> int | None:
    """The version to which a table was restored; None if it was given as a time."""
    given = str(parameters.get("version") or "").strip('"')
    return int(given) if given.isdigit() else None
