"""Writes files of a history for tests, as its query does on executors."""

from __future__ import annotations

from bytemeter.history.table import History
from bytemeter.history.writing import Written, history_files


def written(history: History, *values: bytes) -> list[Written]:
    """Write messages of partition 0 to files, which are not committed."""
    return written_at(history, [(0, offset, value) for offset, value in enumerate(values)])


def written_at(history: History, rows: list[tuple[int, int, bytes]]) -> list[Written]:
    """Write messages, given with their partitions and offsets, to files, which are not committed."""
    messages = history.session.createDataFrame(rows, "partition int, offset long, value binary")
    files = messages.coalesce(1).transform(history_files(history.feed, history.path)).collect()
    return [Written(**file.asDict()) for file in files]
