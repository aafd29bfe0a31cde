"""The mains on a standalone cluster, whose executors have only pyarrow, pandas and numpy: the same figures as here."""

from __future__ import annotations

import datetime as dt
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.dist import build
from bytemeter.feeds import DEVICES, FEEDS
from bytemeter.settings import Settings
from speed_layer.stream import Streams
from tests.buckets import BUCKET
from tests.integration.cluster import SECRET, cluster
from tests.messages import agreement_document, data_record

Rows = Callable[..., list[tuple[Any, ...]]]
FIGURES = {
    "live totals": "select type, id, timestamp, value from bytes order by 1, 2, 3",
    "hourly totals": "select type, id, timestamp, value from bytes_hourly order by 1, 2, 3",
    "monthly totals": "select type, id, timestamp, value from bytes_monthly order by 1, 2, 3",
    "billing periods": "select agreement_id, period_start, total_recorded_bytes from data_plan_usage order by 1, 2",
    "threshold events": "select event_id, total_recorded_bytes from threshold_events order by 1",
    "ledger": "select feed, partition, next_offset, received, counted, duplicate, invalid from ledger order by 1, 2",
}

FORGET = """
truncate
    bytes, bytes_hourly, bytes_monthly, hours, seen_ids, seen_segments, duplicate_events, invalid_events, ledger,
    agreements, data_plan_usage, threshold_events, unmatched_records, plan_segments, user_quota_limit
"""


def secret_file(path: Path, content: str) -> str:
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)


def test_the_python_of_executors_lacks_what_the_driver_needs(tmp_path: Path) -> None:
    with cluster(tmp_path, tmp_path, workers=0) as spark:
        for name, expected in {
            "pyarrow": 0,
            "pandas": 0,
            "numpy": 0,
            "sqlalchemy": 1,
            "kafka": 1,
            "bytemeter": 1,
        }.items():
            done = subprocess.run(
                [spark.python, "-c", f"import {name}"], cwd=tmp_path, capture_output=True, check=False
            )
            assert done.returncode == expected, name


@BUCKET
def test_stream_hourly_and_monthly_give_the_same_figures_as_on_this_machine(
    place: Settings,
    engine: Engine,
    spark: SparkSession,
    simulate: Callable[..., Any],
    simulate_plans: Callable[..., None],
    put: Callable[..., None],
    rows: Rows,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    simulate(2_000, late=0.02, duplicates=0.02, invalid=0.02)
    simulate_plans(50, 2_000)
    # Whether a simulated subscriber reaches a threshold depends on the seed; this one does.
    put([agreement_document(serviceStartAt="2026-01-01T00:00:00Z", maxBytesInBillingPeriod=1_000)], topic="agreements")
    put([data_record(recordedAt="2026-11-08T12:30:00Z", recordedBytes=1_000)], topic="data-records")
    here = place.model_copy(update={"history": str(tmp_path / "history-here")})
    Streams(spark, here, list(FEEDS.values()), once=True).run()
    HourlyJob(spark, here, DEVICES, wait_s=60).run()
    ((year, month),) = rows("select extract(year from max(hour))::int, extract(month from max(hour))::int from hours")
    MonthlyJob(spark, here, Month(year, month), dt.datetime.now(dt.UTC), wait_s=60).run()
    expected = {name: rows(query) for name, query in FIGURES.items()}
    assert not [name for name, figures in expected.items() if not figures]
    with engine.begin() as connection:
        connection.exec_driver_sql(FORGET)

    build(tmp_path / "dist")
    url = make_url(place.require_database_url())
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", secret_file(tmp_path / "url", place.require_database_url()))
    login = f"{url.host}:{url.port}:{url.database}:{url.username}:{url.password}"
    monkeypatch.setenv("PGPASSFILE", secret_file(tmp_path / "pgpass", login))
    where = ["--history", place.require_history()]
    kafka = ["--kafka", str(place.kafka)]
    jdbc = ["--jdbc-url", f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?user={url.username}"]
    with cluster(tmp_path, tmp_path / "dist") as submitted:
        for main, *arguments in (
            ("stream_usage.py", *kafka, "--once"),
            ("hourly_usage.py", *jdbc, "--dirty"),
            ("monthly_usage.py", *kafka, "--month", f"{year}-{month:02}"),
        ):
            done = submitted.submit(main, [*where, *arguments])
            assert done.returncode == 0, done.stderr[-5_000:]
            assert not [secret for secret in (SECRET, str(url.password)) if secret in done.stderr]
        shown = "\n".join(submitted.arguments)
        assert "CoarseGrainedExecutorBackend" in shown
        assert not [secret for secret in (SECRET, str(url.password)) if secret in shown]
    assert {name: rows(query) for name, query in FIGURES.items()} == expected
