"""Functions of Arrow tables on executors, and Python workers that stay fast from task to task."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from zipimport import zipimporter

import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession

from bytemeter.executors import BoundedMessages, Read, map_bounded, map_shares, map_tables


def describe_worker(rows: pa.Table) -> pa.Table:
    archives = sum(isinstance(importer, zipimporter) for importer in sys.path_importer_cache.values())
    columns = {"pid": [os.getpid()] * rows.num_rows, "archives": [archives] * rows.num_rows}
    return pa.table(columns, pa.schema([("pid", pa.int64()), ("archives", pa.int64())]))


def test_the_function_gets_each_row(run: Callable[..., list[Row]]) -> None:
    def doubled(rows: pa.Table) -> pa.Table:
        return pa.table({"n": [2 * n for n in rows.column("n").to_pylist()]}, pa.schema([("n", pa.int64())]))

    result = run(lambda rows: map_tables(rows, doubled, "n long"), [(1,), (2,), (5,)], "n long")
    assert sorted(row.n for row in result) == [2, 4, 10]


def test_a_worker_reads_no_archives_before_its_next_task(run: Callable[..., list[Row]]) -> None:
    workers: list[Row] = []
    for _ in range(3):
        workers += run(lambda rows: map_tables(rows, describe_worker, "pid long, archives long"), [(1,)], "n long")
    latest = {row.pid: row.archives for row in workers}
    assert 0 in latest.values()


def test_the_function_gets_all_rows_of_a_task_at_once_if_whole(spark: SparkSession) -> None:
    def row_counts(rows: pa.Table) -> pa.Table:
        return pa.table({"n": pa.array([rows.num_rows], pa.int64())})

    numbers = spark.range(0, 120_000, numPartitions=2)
    assert [row.n for row in map_tables(numbers, row_counts, "n long", whole=True).collect()] == [60_000, 60_000]
    assert sum(row.n for row in map_tables(numbers, row_counts, "n long").collect()) == 120_000
    no_rows = numbers.where("id < 0")
    assert map_tables(no_rows, row_counts, "n long", whole=True).collect() == []


@pytest.mark.parametrize("count", [0, 1, 5])
def test_each_share_has_its_own_task(spark: SparkSession, count: int) -> None:
    def tables(share: list[int]) -> list[pa.Table]:
        return [pa.table({"n": pa.array([n], pa.int64())}) for n in share]

    shares = [list(range(length)) for length in range(count)]
    result = map_shares(spark, shares, tables, "n long")
    assert result.rdd.getNumPartitions() == count
    assert sorted(row.n for row in result.collect()) == sorted(n for share in shares for n in share)


def batch_of(*values: bytes) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(values, pa.binary())})


def test_a_task_gives_up_where_its_messages_exceed_the_bound() -> None:
    batches = iter([batch_of(b"x" * 600, b"x" * 200), batch_of(b"x" * 300), batch_of(b"never read")])
    bounded = BoundedMessages(batches, 1_000)
    assert [table.num_rows for table in bounded] == [2]
    assert (bounded.gave_up, bounded.messages, len(list(batches))) == (True, 3, 1)
    assert 1_100 < bounded.bytes < 1_200


def test_messages_that_come_in_one_table_are_read_however_large_they_are() -> None:
    bounded = BoundedMessages([batch_of(b"x" * 5_000)], 1_000)
    assert ([table.num_rows for table in bounded], bounded.gave_up) == ([1], False)


def sizes(messages: BoundedMessages) -> Iterator[pa.Table]:
    for table in messages:
        yield pa.table({"size": pa.array([len(value.as_py()) for value in table.column("value")], pa.int64())})


@pytest.mark.parametrize(("most_bytes", "gave_up"), [(2**30, False), (2**20, True)])
def test_what_the_tasks_have_read_comes_with_their_rows(spark: SparkSession, most_bytes: int, gave_up: bool) -> None:
    """Large messages arrive a few at a time: 30 of 2 MB are more than one table holds."""
    messages = spark.range(0, 60, numPartitions=2).selectExpr("cast(repeat('x', 2000000) as binary) as value")
    schema = pa.schema([("size", pa.int64())])
    rows = map_bounded(messages, sizes, schema, most_bytes=most_bytes).collect()
    read = Read.of(row.read and row.read.asDict() for row in rows)
    found = [row.size for row in rows if row.read is None]
    assert read.gave_up == gave_up
    assert set(found) == {2_000_000}
    assert (len(found) == 60) == (not gave_up)
    assert (read.messages, read.most_bytes > 60_000_000) == ((60, True) if not gave_up else (read.messages, False))


def test_a_task_without_messages_has_read_nothing(spark: SparkSession) -> None:
    none = spark.createDataFrame([], "value binary")
    rows = map_bounded(none, sizes, pa.schema([("size", pa.int64())]), most_bytes=1).collect()
    assert Read.of(row.read.asDict() for row in rows) == Read(0, 0, 0, False)
