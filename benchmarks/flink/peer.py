"""The same totals and thresholds on Flink SQL over the same topics, in a virtual environment of Flink's own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import text

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS, DEVICES
from bytemeter.jars import POSTGRESQL, resolve
from bytemeter.java import java_home
from bytemeter.kafka import Kafka
from bytemeter.postgres import database, jdbc_options
from bytemeter.settings import Settings, load_settings
from embedded.home import Home

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
# As the table of our live totals.
_TOTALS = """
drop table if exists flink_totals;
create table flink_totals (
    type text collate "C", id text collate "C", window_s bigint, value bigint not null,
    primary key (type, id, window_s)
) with (fillfactor = 70)
"""


@contextmanager
def flink_jobs(devices: Settings, plans: Settings) -> Iterator[dict[str, Callable[[], float]]]:
    """The jobs, named as ours are, over these places' topics; for as long as Flink's JVM runs.

    A job called returns the seconds from its submission until its last result is in its sink. Flink is installed when
    first used, under the home of the settings, and has as much memory as Spark's driver.

    Raises:
        BytemeterError: a job failed; the line tells why, and where the log is.
    """
    home = Home(load_settings().home).folder("flink")
    python, told = _installed(home / "venv"), home / "job.log"
    Kafka(plans).create(_CROSSINGS)
    with TemporaryDirectory(prefix="bytemeter-flink-", ignore_cleanup_errors=True) as scratch, told.open("w") as log:
        java = {
            "JAVA_HOME": str(java_home()),
            "JVM_ARGS": f"-Xmx{plans.driver_memory} -XX:+UseParallelGC",
            # On the class path, the connectors are loaded and compiled once, not for each job.
            "HADOOP_CLASSPATH": os.pathsep.join(str(jar) for jar in resolve(_CONNECTORS)),
        }
        with subprocess.Popen(
            [python, str(_HERE / "job.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True,
            env={**os.environ, **java, "FLINK_LOG_DIR": str(home)},
        ) as process:  # fmt: skip

            def ask(line: str) -> float:
                assert process.stdin is not None  # noqa: S101
                assert process.stdout is not None  # noqa: S101
                with suppress(BrokenPipeError):
                    print(line, file=process.stdin, flush=True)
                if answer := process.stdout.readline():
                    return float(answer)
                *_, cause = ["no cause told", *_CAUSE.findall(told.read_text())]
                raise BytemeterError(f"Flink's job failed: {cause}; {told} tells more")

            def totals() -> float:
                with database(devices.require_database_url()).begin() as connection:
                    connection.execute(text(_TOTALS))
                return ask("totals")

            started = ask(json.dumps(_place(devices, plans, scratch)))
            print(f"Flink SQL: the JVM started in {started:.1f} s", flush=True)
            yield {"live totals": totals, "data plans": lambda: ask("thresholds")}


def _place(devices: Settings, plans: Settings, scratch: str) -> dict[str, object]:
    """What ``job.Place`` holds."""
    jdbc = jdbc_options(devices.require_database_url())
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
    """The interpreter of Flink's environment, which is made unless it is there with what is required now."""
    python, installed = folder / "bin" / "python", folder / "installed.txt"
    if not installed.exists() or installed.read_text() != _REQUIREMENTS.read_text():
        print(f"Flink SQL: installing it in {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(_REQUIREMENTS)], check=True)
        installed.write_text(_REQUIREMENTS.read_text())
    return str(python)
