"""Functions of columns on executors, and their processes from task to task."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from zipimport import zipimporter

import pyarrow as pa
import pytest
from pyspark.sql import Row, SparkSession

from bytemeter.executors import map_shares, map_tables


def about_the_process(rows: pa.Table) -> pa.Table:
    archives = sum(isinstance(found, zipimporter) for found in sys.path_importer_cache.values())
    columns = {"pid": [os.getpid()] * rows.num_rows, "archives": [archives] * rows.num_rows}
    return pa.table(columns, pa.schema([("pid", pa.int64()), ("archives", pa.int64())]))


def test_each_row_is_given_to_the_function(run: Callable[..., list[Row]]) -> None:
    def doubled(rows: pa.Table) -> pa.Table:
        return pa.table({"n": [2 * n for n in rows.column("n").to_pylist()]}, pa.schema([("n", pa.int64())]))

    found = run(lambda rows: map_tables(rows, doubled, "n long"), [(1,), (2,), (5,)], "n long")
    assert sorted(row.n for row in found) == [2, 4, 10]


def test_a_process_that_had_a_task_reads_no_archives_before_the_next(run: Callable[..., list[Row]]) -> None:
    found: list[Row] = []
    for _ in range(3):
        found += run(lambda rows: map_tables(rows, about_the_process, "pid long, archives long"), [(1,)], "n long")
    latest = {row.pid: row.archives for row in found}
    assert 0 in latest.values()


def test_all_rows_of_a_task_are_given_at_once_if_asked(spark: SparkSession) -> None:
    def counted(rows: pa.Table) -> pa.Table:
        return pa.table({"n": pa.array([rows.num_rows], pa.int64())})

    numbers = spark.range(0, 120_000, numPartitions=2)
    assert [row.n for row in map_tables(numbers, counted, "n long", whole=True).collect()] == [60_000, 60_000]
    assert sum(row.n for row in map_tables(numbers, counted, "n long").collect()) == 120_000
    nothing = numbers.where("id < 0")
    assert map_tables(nothing, counted, "n long", whole=True).collect() == []


@pytest.mark.parametrize("many", [0, 1, 5])
def test_each_share_has_a_task_of_its_own(spark: SparkSession, many: int) -> None:
    def told(share: list[int]) -> list[pa.Table]:
        return [pa.table({"n": pa.array([n], pa.int64())}) for n in share]

    shares = [list(range(number)) for number in range(many)]
    found = map_shares(spark, shares, told, "n long")
    assert found.rdd.getNumPartitions() == many
    assert sorted(row.n for row in found.collect()) == sorted(n for share in shares for n in share)
