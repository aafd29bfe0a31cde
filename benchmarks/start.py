"""How long ``bytemeter stream --once devices`` takes, from its start until it has counted and until it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection

from benchmarks.state import SQL, clear
from benchmarks.topics import Topics
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.postgres import database
from bytemeter.settings import PREFIX, Settings

_RUNS, _RECORDS = 3, 1_000
_LONGEST_S = 300
_POLL_S = 0.02
_TOPIC_PREFIX = "start."


def measure_start(topics: Topics) -> None:
    """Run the command several times over a topic of 1,000 records, on servers that are up; print its seconds.

    Raises:
        BytemeterError: the command failed, or ended without counting all records.
    """
    # The command keeps the history in the folder of the embedded stack.
    settings = topics.place(_TOPIC_PREFIX).model_copy(update={"history": str(topics.home / "history")})
    replace(topics, records=_RECORDS).devices(settings, event_ids=True)
    print(f"\nbytemeter stream --once devices, {_RECORDS:,} records; seconds from its start")
    print(f"{'run':<8}{'records counted':>18}{'process ended':>18}")
    for run in range(1, _RUNS + 1):
        clear(settings)
        counted_s, ended_s = _run(settings, topics.home / "logs" / "start.log")
        print(f"{run:<8}{counted_s:>16.1f} s{ended_s:>16.1f} s", flush=True)


def _run(settings: Settings, log: Path) -> tuple[float, float]:
    """Seconds until the ledger has all records, and until the process has ended."""
    command = [sys.executable, "-m", "cli", "--home", str(settings.home), "stream", "--once", DEVICES.name]
    engine = database(settings.require_database_url())
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output, engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        began = time.perf_counter()
        with subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            env={**os.environ, f"{PREFIX}TOPIC_PREFIX": _TOPIC_PREFIX},
        ) as process:  # fmt: skip
            try:
                while _received(connection) < _RECORDS and process.poll() is None:
                    if time.perf_counter() - began > _LONGEST_S:
                        raise BytemeterError(f"`{' '.join(command)}` has not counted after {_LONGEST_S} s; read {log}")
                    time.sleep(_POLL_S)
                counted_s = time.perf_counter() - began
                process.wait(_LONGEST_S)
            finally:
                process.kill()
            ended_s = time.perf_counter() - began
        if process.returncode or _received(connection) < _RECORDS:
            *_, last = ["nothing printed", *log.read_text().splitlines()]
            raise BytemeterError(f"`{' '.join(command)}` ended with {process.returncode}: {last}; read {log}")
    return counted_s, ended_s


def _received(connection: Connection) -> int:
    return int(connection.execute(SQL["received"], {"feed": DEVICES.name}).scalar_one())
