"""Logs and errors name no subscriber: not ours, not Spark's, not the embedded PostgreSQL's."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.jdbc import jdbc_options
from bytemeter.postgres import database
from bytemeter.settings import Settings
from cli.main import main
from embedded.database import Database
from embedded.home import Home
from tests.builders import agreement, record
from tests.commands import endpoints, signal_handlers_restored

Rows = Callable[..., list[tuple[Any, ...]]]
MSISDN = "48917846822"


@pytest.fixture
def _own_signals() -> Iterator[None]:
    with signal_handlers_restored():
        yield


@pytest.fixture
def written(place: Settings, home: Path) -> Callable[[], str]:
    """What Spark and PostgreSQL have written to their logs since the start of the test."""
    paths = [*(home / "logs" / name for name in ("spark.log", "spark.out")), Database(Home(place.home)).log]
    lengths = {path: path.stat().st_size if path.exists() else 0 for path in paths}
    return lambda: "".join(path.read_bytes()[length:].decode() for path, length in lengths.items() if path.exists())


@pytest.mark.usefixtures("_own_signals")
@pytest.mark.parametrize(
    ("table", "messages"),
    [("agreements", {"agreements": [agreement()]}), ("unmatched_records", {"data-records": [record("r", 1)]})],
)
def test_rows_that_postgresql_refuses_show_in_no_log(
    table: str,
    messages: dict[str, list[bytes]],
    place: Settings,
    spark: SparkSession,
    put: Callable[..., None],
    rows: Rows,
    written: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    rows(f"alter table {table} add constraint nobody check (msisdn is null); select 1")
    for topic, values in messages.items():
        put(values, topic=topic)
    command = ["stream", AGREEMENTS.name, DATA_RECORDS.name, "--once", "--no-keep"]
    with pytest.raises(Exception, match="violates check constraint") as caught:
        main(["--debug", *endpoints(place), *command])
    assert main([*endpoints(place), *command]) == 1
    shown = "".join([*capfd.readouterr(), *traceback.format_exception(caught.value)])
    logged = written()
    assert "violates check constraint" in shown
    assert logged.count("violates check constraint") > 1
    assert MSISDN not in shown + logged


def test_rows_that_executors_cannot_write_show_in_no_log(
    place: Settings, spark: SparkSession, rows: Rows, written: Callable[[], str]
) -> None:
    rows("alter table staged_hourly add constraint nobody check (id is null); select 1")
    with database(place.require_database_url()).connect() as connection:
        options = {**jdbc_options(connection), "dbtable": "staged_hourly", "options": "-c bytemeter.attempt=1"}
    staged = spark.createDataFrame(
        [("user_bytes_total", MSISDN, 0, 1)], "type string, id string, window_s long, value long"
    )
    with pytest.raises(Exception, match="violates check constraint") as caught:
        staged.write.format("jdbc").options(**options).mode("append").save()
    assert MSISDN not in str(caught.value) + written()
