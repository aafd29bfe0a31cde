"""Runs the same totals and thresholds on Flink SQL over the same topics, in a virtual environment of Flink's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

from sqlalchemy import text

from bytemeter.jars import resolve
from bytemeter.java import java_home
from bytemeter.kafka import Kafka
from bytemeter.postgres import database, jdbc_options
from bytemeter.settings import Settings

_HERE = Path(__file__).parent
_CONNECTORS = (
    ("org.apache.flink:flink-sql-connector-kafka:4.0.1-2.0",),
    ("org.apache.flink:flink-connector-jdbc-core:4.0.0-2.0",),
    ("org.apache.flink:flink-connector-jdbc-postgres:4.0.0-2.0",),
    ("org.postgresql:postgresql:42.7.7",),
)
_TOTALS = """
drop table if exists flink_totals;
create table flink_totals (
    type text collate "C", id text collate "C", window_s bigint, value bigint, primary key (type, window_s, id)
)
"""


def compare(settings: Settings, job: str, records: int, rounds: int) -> None:
    """Print the rate of one of Flink's jobs, ``totals`` or ``thresholds``, over the place's topic."""
    kafka, engine = Kafka(settings), database(settings.require_database_url())
    kafka.create(kafka.topic_name("flink-crossings"))
    with engine.begin() as connection:
        connection.execute(text(_TOTALS))
    jdbc = jdbc_options(settings.require_database_url())
    told = {
        "job": job,
        "rounds": rounds,
        "jars": [str(_jar(coordinates)) for coordinates in _CONNECTORS],
        "kafka": kafka.servers,
        "prefix": settings.topic_prefix,
        "jdbc": jdbc["url"],
        "user": jdbc["user"],
        "password": jdbc["password"],
    }
    environment = {**os.environ, "JAVA_HOME": str(java_home())}
    done = subprocess.run(
        [_python(settings.home / "flink"), str(_HERE / "job.py")],
        input=json.dumps(told), capture_output=True, text=True, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"Flink's job failed: {done.stderr.strip().splitlines()[-1]}")
    cold, *warm = (records / float(line) for line in done.stdout.split())
    best, middle = max(warm or [cold]), median(warm or [cold])
    print(f"Flink SQL, {job:<17}{cold:>10,.0f}/s{best:>10,.0f}/s{middle:>10,.0f}/s", flush=True)


def _python(environment: Path) -> str:
    python = environment / "bin" / "python"
    if not (environment / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(_HERE / "requirements.txt")], check=True)
        (environment / "installed").touch()
    return str(python)


def _jar(coordinates: tuple[str]) -> Path:
    name = coordinates[0].split(":")[1]
    return next(jar for jar in resolve(coordinates) if jar.name.startswith(name))
