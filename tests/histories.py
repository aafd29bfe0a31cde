"""Writes files of a history for tests, as its query does on executors."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Iterable

from deltalake import DeltaTable
from pyspark.sql import DataFrame, SparkSession

from bytemeter.history.storage import EMULATOR
from bytemeter.history.table import History
from bytemeter.history.writing import HistoryFiles, Written, gather, results_of

MESSAGES = "partition int, offset long, value binary, key binary, timestamp timestamp"
# When Kafka received the messages of tests.
RECEIVED = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)


def delta_table(path: str) -> DeltaTable:
    """A table as others than Spark read it, in a folder or a bucket."""
    if not path.startswith("gs://"):
        return DeltaTable(path)
    endpoint = f"http://{os.environ[EMULATOR].removeprefix('http://')}"
    key = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
    return DeltaTable(path, storage_options={"google_service_account_key": json.dumps(key), "allow_http": "true"})


def written(history: History, *values: bytes) -> list[Written]:
    """Write messages of partition 0 to files, which are not committed."""
    return written_at(history, [(0, offset, value) for offset, value in enumerate(values)])


def written_at(history: History, rows: list[tuple[int, int, bytes]]) -> list[Written]:
    """Write messages, given with their partitions and offsets, to files, which are not committed."""
    messages = messages_of(history.session, rows)
    return as_written(HistoryFiles(history.feed, history.path, f"{history.path}.invalid", 2**30).of(messages))


def messages_of(session: SparkSession, rows: Iterable[tuple[int, int, bytes | None]]) -> DataFrame:
    """Messages, given with their partitions and offsets, as the Kafka source gives them to one task of the query."""
    return session.createDataFrame([(*row, b"key", RECEIVED) for row in rows], MESSAGES).coalesce(1)


def as_written(files: DataFrame) -> list[Written]:
    """The files that tasks have written, and those of what they have handed over."""
    written, remainders = results_of(row.asDict() for row in files.drop("read").collect())
    return [*written, *gather(remainders)]
