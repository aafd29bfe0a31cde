"""Functions of Arrow tables on executors, and Python workers that stay fast from task to task."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from zipimport import zipimporter

import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession

from bytemeter.executors import map_shares, map_tables


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
