"""The mains on a standalone cluster, whose executors have only pyarrow, pandas and numpy: the same figures as here.

There, the driver of the stream is killed in the middle, and a second one takes over. Executors that do not fit are refused.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import psutil
import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.dist import build
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, FEEDS
from bytemeter.jars import spark_coordinates
from bytemeter.settings import Settings
from bytemeter.versions import RELEASES, installed_spark, minor
from embedded.home import wait_until
from speed_layer.stream import Streams
from tests.buckets import BUCKET
from tests.integration.cluster import EXECUTOR_PACKAGES, SECRET, Cluster, cluster, executor_python, secret_file
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

# The feeds of which messages are sent. Queries and tables of all others, without messages: make faults.
SENT = (DEVICES, AGREEMENTS, DATA_RECORDS)
RUNS = "select job, outcome, runner from job_runs order by run"
COUNTED = "select coalesce(sum(counted), 0)::bigint from ledger"

FORGET = """
truncate
    bytes, bytes_hourly, bytes_monthly, hours, seen_ids, seen_segments, duplicate_events, invalid_events, ledger,
    agreements, data_plan_usage, threshold_events, unmatched_records, plan_segments, user_quota_limit
"""


def kill(submitted: subprocess.Popen[bytes]) -> None:
    """End ``spark-submit`` and all its processes at once, without a chance to clean up."""
    for process in (*psutil.Process(submitted.pid).children(recursive=True), psutil.Process(submitted.pid)):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    submitted.wait()


@pytest.fixture(scope="module")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all tests of this module."""
    folder = tmp_path_factory.mktemp("cluster")
    build(folder / "dist")
    with cluster(folder, folder / "dist") as running:
        yield running


def test_the_python_of_executors_lacks_what_the_driver_needs(standalone: Cluster) -> None:
    names = (*EXECUTOR_PACKAGES, "sqlalchemy", "kafka", "bytemeter")
    code = f"from importlib.util import find_spec; print(*(name for name in {names} if find_spec(name)))"
    command = [str(standalone.python), "-c", code]
    done = subprocess.run(command, cwd=standalone.dist, capture_output=True, text=True, check=True)
    assert tuple(done.stdout.split()) == EXECUTOR_PACKAGES


@pytest.fixture
def refused(
    standalone: Cluster, place: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., str]:
    """Submit a job that ends before it counts; returns its only line."""
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", secret_file(tmp_path / "url", place.require_database_url()))

    def submit(of: Cluster = standalone, **what: Any) -> str:
        done = of.submit("hourly_usage.py", ["--history", "/nowhere", "--dirty"], **what)
        assert done.returncode == 1, done.stderr[-3_000:]
        assert "Traceback" not in done.stderr
        # Of a cluster that does not answer, Spark's log has more to say.
        assert of is not standalone or "\tat " not in done.stderr
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("bytemeter: ")]
        return line

    return submit


def test_executors_that_do_not_fit_the_driver_are_refused(refused: Callable[..., str], tmp_path: Path) -> None:
    another = other_python()
    line = refused(python=another or executor_python(tmp_path / "python", ["numpy", "pandas"]), cores=1)
    assert "it has no pyarrow, expected 18 or later; install executor.txt" in line
    if another:
        own = f"{sys.version_info[0]}.{sys.version_info[1]}"
        assert f", the driver's is {own}; give both the same" in line


def test_a_zip_of_another_build_than_the_main_is_refused(
    refused: Callable[..., str], standalone: Cluster, tmp_path: Path
) -> None:
    another = tmp_path / "bytemeter.zip"
    with ZipFile(standalone.dist / "bytemeter.zip") as built, ZipFile(another, "w") as changed:
        for name in built.namelist():
            changed.writestr(name, b"0123456789ab" if name == "bytemeter/build.txt" else built.read(name))
    line = refused(archive=another)
    assert re.match(
        "bytemeter: hourly_usage.py is of the build [0-9a-f]{12}, the package that it imports of 0123", line
    )


def test_jars_for_another_spark_are_refused(refused: Callable[..., str]) -> None:
    (other,) = (spark for spark in RELEASES if spark != minor(installed_spark()))
    line = refused(jars=spark_coordinates(other))
    assert f"{RELEASES[other].kafka.split(':')[1]}-" in line
    assert f" is for Spark {other}, this is Spark {installed_spark()}; " in line
    assert f"give spark-submit --packages with the lines of jars-{minor(installed_spark())}.txt" in line


def test_a_cluster_of_another_spark_is_one_line(
    standalone: Cluster, refused: Callable[..., str], tmp_path: Path
) -> None:
    own = minor(installed_spark())
    installed = Path().glob(".venv*/lib/python*/site-packages/pyspark-*.dist-info")
    others = [path.with_name("pyspark") for path in installed if minor(path.name) != own]
    if not others:
        pytest.skip("needs another Spark beside this one, as .ci/versions installs it")
    with cluster(tmp_path, standalone.dist, workers=0, spark=others[0]) as other:
        line = refused(of=other)
    assert line.startswith(f"bytemeter: the cluster {other.master} does not take the job: ")
    assert f"it has to run Spark {own} as this driver does" in line


def other_python() -> Path | None:
    """A Python of another minor version than this one, if the machine has one."""
    named = [Path(path) for minor in range(9, 15) if (path := shutil.which(f"python3.{minor}"))]
    for python in (*named, *Path.home().glob(".pyenv/versions/3.*/bin/python")):
        command = [python, "-c", "import sys; print(sys.version_info[1])"]
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if said and int(said) != sys.version_info[1]:
            return python
    return None


def in_one_session(of: Cluster, main: Path) -> str:
    """A main that runs the built mains one after the other, as ``python main.py`` would, in one Spark session."""
    main.write_text(
        "import json, runpy, sys\n"
        "for name, *arguments in json.loads(sys.argv[1]):\n"
        f"    sys.argv = [f'{of.dist}/{{name}}', *arguments]\n"
        "    try:\n"
        "        runpy.run_path(sys.argv[0], run_name='__main__')\n"
        "    except SystemExit as ended:\n"
        "        if ended.code:\n"
        "            raise\n"
    )
    return str(main)


@BUCKET
def test_stream_hourly_and_monthly_give_the_same_figures_as_on_this_machine(
    place: Settings,
    engine: Engine,
    spark: SparkSession,
    simulate: Callable[..., Any],
    simulate_plans: Callable[..., None],
    put: Callable[..., None],
    rows: Rows,
    standalone: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    full: bool,
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    simulate(2_000, late=0.02, duplicates=0.02, invalid=0.02)
    simulate_plans(50, 2_000)
    # Whether a simulated subscriber reaches a threshold depends on the seed; this one does.
    put([agreement_document(serviceStartAt="2026-01-01T00:00:00Z", maxBytesInBillingPeriod=1_000)], topic="agreements")
    put([data_record(recordedAt="2026-11-08T12:30:00Z", recordedBytes=1_000)], topic="data-records")
    here = place.model_copy(update={"history": str(tmp_path / "history-here")})
    feeds = list(FEEDS.values()) if full else SENT
    Streams(spark, here, feeds, once=True).run()
    HourlyJob(spark, here, DEVICES, wait_s=60).run()
    ((year, month),) = rows("select extract(year from max(hour))::int, extract(month from max(hour))::int from hours")
    MonthlyJob(spark, here, Month(year, month), dt.datetime.now(dt.UTC), wait_s=60).run()
    expected = {name: rows(query) for name, query in FIGURES.items()}
    assert not [name for name, figures in expected.items() if not figures]
    with engine.begin() as connection:
        connection.exec_driver_sql(FORGET)

    url = make_url(place.require_database_url())
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", secret_file(tmp_path / "url", place.require_database_url()))
    login = f"{url.host}:{url.port}:{url.database}:{url.username}:{url.password}"
    monkeypatch.setenv("PGPASSFILE", secret_file(tmp_path / "pgpass", login))
    where = ["--history", place.require_history()]
    kafka, names = ["--kafka", str(place.kafka)], [feed.name for feed in feeds]
    jdbc = ["--jdbc-url", f"jdbc:postgresql://{url.host}:{url.port}/{url.database}?user={url.username}"]
    # Several micro-batches, so that the driver ends in the middle.
    monkeypatch.setenv("BYTEMETER_MAX_RECORDS_PER_BATCH", "500")
    with (tmp_path / "killed.err").open("w+") as output:
        killed = standalone.start("stream_usage.py", [*where, *kafka, *names], output)
        wait_until(lambda: rows(COUNTED) != [(0,)], what="the stream", log=tmp_path / "killed.err", timeout_s=180)
        kill(killed)
    assert rows(COUNTED) < [(sum(counted for *_, counted, _, _ in expected["ledger"]),)]
    monkeypatch.delenv("BYTEMETER_MAX_RECORDS_PER_BATCH")
    mains = (
        ("stream_usage.py", *where, *kafka, "--once", *names),
        ("hourly_usage.py", *where, *jdbc, "--dirty"),
        ("monthly_usage.py", *where, *kafka, "--month", f"{year}-{month:02}"),
        ("maintain.py", *where, "--quiet", "0"),
    )
    # Each in a session of its own takes another minute: make faults.
    submitted = mains if full else [(in_one_session(standalone, tmp_path / "mains.py"), json.dumps(mains))]
    for main, *arguments in submitted:
        done = standalone.submit(main, arguments)
        assert done.returncode == 0, done.stderr[-5_000:]
        assert not [secret for secret in (SECRET, str(url.password)) if secret in done.stderr]
    shown = "\n".join(standalone.arguments)
    assert "CoarseGrainedExecutorBackend" in shown
    assert not [secret for secret in (SECRET, str(url.password)) if secret in shown]
    assert {name: rows(query) for name, query in FIGURES.items()} == expected
    assert rows(RUNS) == [(job, "done", "spark-submit") for job in ("dirty-hours", "monthly", "maintain")]
