"""Flink SQL over the topics of our jobs, in a process and a virtual environment of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.streaming import BARE_DATA_RECORDS, BARE_DEVICES, DATA_PLANS, LIVE_TOTALS
from benchmarks.throughput import Job
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS, DEVICES
from bytemeter.jars import POSTGRESQL, resolve
from bytemeter.java import java_home
from bytemeter.jdbc import jdbc_options
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.settings import Settings, load_settings
from bytemeter.sql import Statements
from embedded import locked
from embedded.home import Home
from simulator.traffic import Sent

TOTALS = f"Flink SQL, {LIVE_TOTALS}"
WINDOWS = f"{TOTALS}, windows that drop later data"
PLANS = f"Flink SQL, {DATA_PLANS}"
JOBS = (TOTALS, WINDOWS, PLANS)

SQL = Statements(__package__, "postgres.sql")
_HERE = Path(__file__).parent
_REQUIREMENTS = _HERE / "requirements.txt"
_CONNECTORS = (
    "org.apache.flink:flink-sql-connector-kafka:4.0.1-2.0",
    "org.apache.flink:flink-connector-jdbc-core:4.0.0-2.0",
    "org.apache.flink:flink-connector-jdbc-postgres:4.0.0-2.0",
    POSTGRESQL,
)
_CAUSE = re.compile(r"^(?:Caused by: )?([\w.]*(?:Exception|Error): .*)", re.MULTILINE)
_CROSSINGS = "flink.crossings"


@dataclass
class FlinkSql:
    """Flink's process, and the jobs that it runs.

    Attributes:
        process: runs ``job.py``.
        log: what the process prints.
        devices: the place of devices without event ids; its database gets the totals.
        sent: the simulator's counts of these devices.
    """

    process: subprocess.Popen[str] = field(repr=False)
    log: Path
    devices: Settings
    sent: Sent
    _bytes: dict[str, int] = field(default_factory=dict, init=False)

    def jobs(self) -> list[Job]:
        """The jobs; each returns the seconds from its submission until its last result is in its sink."""
        return [
            Job(TOTALS, partial(self._count, "totals"), BARE_DEVICES, LIVE_TOTALS),
            Job(WINDOWS, partial(self._count, "windows"), BARE_DEVICES, LIVE_TOTALS),
            Job(PLANS, partial(self.ask, "thresholds"), BARE_DATA_RECORDS, DATA_PLANS),
        ]

    def ask(self, line: str) -> float:
        """Send a line to the process; returns the seconds that it answers.

        Raises:
            BytemeterError: the process ended, since a job failed.
        """
        assert self.process.stdin is not None  # noqa: S101
        assert self.process.stdout is not None  # noqa: S101
        with suppress(BrokenPipeError):
            print(line, file=self.process.stdin, flush=True)
        if answer := self.process.stdout.readline():
            return float(answer)
        *_, cause = ["no cause in its log", *_CAUSE.findall(self.log.read_text())]
        raise BytemeterError(f"Flink's job failed: {cause}; read {self.log}")

    def _count(self, name: str) -> float:
        """Run a job that counts totals into a new table, and check them."""
        engine = database(self.devices.require_database_url())
        with engine.begin() as connection:
            for statement in ("remove_totals_table", "create_totals_table"):
                connection.execute(SQL[statement])
        seconds = self.ask(name)
        with engine.connect() as connection:
            self._check(name, {row.type: row.bytes for row in connection.execute(SQL["bytes_by_dimension"])})
        return seconds

    def _check(self, name: str, counted: dict[str, int]) -> None:
        """Check the bytes that a job has counted in each dimension.

        Raises:
            BytemeterError: a dimension lacks bytes of valid records, has more than invalid records may add, or differs
                from the bytes that another job has counted in it.
        """
        least = self.sent.valid_bytes
        most = least + 2 * least * self.sent.invalid // self.sent.records
        self._bytes = self._bytes or counted
        if len(counted) != len(DEVICES.totals.types if DEVICES.totals else []) or counted != self._bytes:
            raise BytemeterError(f"Flink's job {name} counted {counted} bytes, expected {self._bytes}")
        if not all(least <= bytes_ <= most for bytes_ in counted.values()):
            raise BytemeterError(f"Flink's job {name} counted {counted} bytes, expected {least} to {most}")


@contextmanager
def flink_sql(devices: Settings, plans: Settings, sent: Sent) -> Iterator[list[Job]]:
    """The jobs of Flink, in a process of its own with as much heap as Spark's driver; it is installed at first use.

    A job raises ``BytemeterError`` if it fails or counts wrong totals.

    Args:
        devices: the place of devices without event ids.
        plans: the place of agreements and data records.
        sent: the simulator's counts of these devices.
    """
    home = Home(load_settings().home).folder("flink")
    python, log = _installed(home / "venv"), home / "job.log"
    Kafka(plans).create(_CROSSINGS)
    with TemporaryDirectory(prefix="bytemeter-flink-", ignore_cleanup_errors=True) as scratch, log.open("w") as output:
        java = {
            "JAVA_HOME": str(java_home()),
            "JVM_ARGS": f"-Xmx{plans.driver_memory} -XX:+UseParallelGC",
            # On the class path, the connectors are loaded and compiled once, not for each job.
            "HADOOP_CLASSPATH": os.pathsep.join(str(jar) for jar in resolve(_CONNECTORS)),
        }
        with subprocess.Popen(
            [python, str(_HERE / "job.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=output, text=True,
            env={**os.environ, **java, "FLINK_LOG_DIR": str(home)},
        ) as process:  # fmt: skip
            flink = FlinkSql(process, log, devices, sent)
            started_s = flink.ask(json.dumps(_place(devices, plans, scratch)))
            print(f"Flink SQL: the JVM started in {started_s:.1f} s", flush=True)
            yield flink.jobs()


def _place(devices: Settings, plans: Settings, scratch: str) -> dict[str, object]:
    """The attributes of ``job.Place``."""
    with database(devices.require_database_url()).connect() as connection:
        jdbc = jdbc_options(connection)
    return {
        "kafka": Kafka(devices).servers,
        "devices": Kafka(devices).topic_name(DEVICES.topic),
        "records": Kafka(plans).topic_name(DATA_RECORDS.topic),
        "crossings": _CROSSINGS,
        "totals": {
            "url": f"{jdbc['url']}?reWriteBatchedInserts=true",
            "table-name": "flink_totals",
            "username": jdbc["user"],
            "password": jdbc["password"],
        },
        "checkpoints": scratch,
        "parallelism": devices.partitions,
    }


def _installed(folder: Path) -> str:
    """The interpreter of Flink's environment; it is installed unless it has what ``requirements.txt`` names now."""
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != _REQUIREMENTS.read_text():
        print(f"Flink SQL: installing it in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        locked.install(str(python), [_REQUIREMENTS], locked.quietly, print)
        installed.write_text(_REQUIREMENTS.read_text())
    return str(python)
