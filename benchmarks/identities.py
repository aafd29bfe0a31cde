"""A start and micro-batches of devices with event ids, beside an empty database and beside ids within the horizon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from sqlalchemy import Connection

from benchmarks.state import SQL, clear, quiesce
from benchmarks.topics import START, Topics, own_process
from bytemeter.errors import BytemeterError
from bytemeter.feeds import DEVICES
from bytemeter.postgres import database
from bytemeter.settings import PREFIX, Settings
from simulator.devices import DeviceSimulation
from speed_layer.dedup.filter import CAPACITY
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.packs import ENTRY, keys_of
from speed_layer.dedup.seen import SeenIds

_RUNS = 3
_LONGEST_S = 600
_HOUR_S = 3_600


@dataclass(frozen=True)
class _Run:
    """One run of the command.

    Attributes:
        counted_s: from the command's start until the first micro-batch was counted.
        batch_ms: the median transaction of the micro-batches after it.
        seconds: from the first micro-batch that was counted to the last one.
    """

    counted_s: float
    batch_ms: float
    seconds: float


def measure_identities(topics: Topics, ids: int) -> None:
    """Run ``bytemeter stream --once --no-keep devices`` over whole topics, first without other ids, then beside them.

    Args:
        ids: how many are stored as counted, evenly over the hours within the horizon.

    Raises:
        BytemeterError: the command failed.
    """
    places = [topics.place(f"identity-{run}.") for run in range(_RUNS)]
    for run, settings in enumerate(places):
        traffic = topics.traffic(seed=100 + run, late=0.01, invalid=0.001, duplicates=0.01)
        topics.fill(settings, DeviceSimulation(traffic), topics.records)
    print(
        f"\nbytemeter stream --once devices, {topics.records:,} records with event ids, beside ids within the horizon"
    )
    print(f"{'ids':>14}{'first counted':>16}{'transaction':>14}{'first to last':>16}")
    empty = list(_measured(places, 0, _empty))
    clear(*places)
    with own_process() as process:
        process.submit(_store_ids, places[0], ids).result()
    _print_cost(places[0], ids)
    full = list(_measured(places, ids, _forget_counted))
    clear(*places)
    slower = median(run.batch_ms for run in full) / median(run.batch_ms for run in empty)
    print(f"transactions beside {ids:,} ids took {slower:.2f} times as long", flush=True)


def _measured(places: list[Settings], ids: int, prepare: Callable[[Settings], None]) -> Iterator[_Run]:
    for settings in places:
        prepare(settings)
        run = _run(settings, settings.home / "logs" / "identities.log")
        print(f"{ids:>14,}{run.counted_s:>14.1f} s{run.batch_ms:>11.0f} ms{run.seconds:>14.1f} s", flush=True)
        yield run


def _run(settings: Settings, log: Path) -> _Run:
    command = [
        sys.executable, "-m", "cli", "--home", str(settings.home), "stream", "--once", "--no-keep", DEVICES.name,
    ]  # fmt: skip
    log.parent.mkdir(parents=True, exist_ok=True)
    environment = {f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix, f"{PREFIX}LOG_FORMAT": "json"}
    began = time.time()
    with log.open("w") as output:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, timeout=_LONGEST_S, check=False,
            env={**os.environ, **environment},
        )  # fmt: skip
    lines = log.read_text().splitlines()
    if done.returncode:
        *_, last = ["nothing printed", *lines]
        raise BytemeterError(f"`{' '.join(command)}` ended with {done.returncode}: {last}; read {log}")
    counted = [entry for entry in map(_parsed, lines) if entry.get("event") == "counted"]
    at = [_epoch_s(str(entry["timestamp"])) for entry in counted]
    return _Run(at[0] - began, median(float(entry["commit_ms"]) for entry in counted[1:] or counted), at[-1] - at[0])


def _parsed(line: str) -> dict[str, Any]:
    return dict(json.loads(line)) if line.startswith("{") else {}


def _epoch_s(timestamp: str) -> float:
    return float(np.datetime64(timestamp.removesuffix("Z"), "us").astype(np.int64)) / 1e6


def _empty(settings: Settings) -> None:
    clear(settings)
    quiesce(settings)


def _forget_counted(settings: Settings) -> None:
    """Remove what was counted, but not the ids, which are not vacuumed either: that would read all of them."""
    with database(settings.require_database_url()).begin() as connection:
        connection.execute(SQL["remove_counted_but_ids"])
        connection.execute(SQL["forget_offsets"], {"kept": ""})
    with database(settings.require_database_url()).connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql("checkpoint")


def _store_ids(settings: Settings, count: int) -> None:
    """Store random event ids as counted, hour by hour until ``START``; print how long it took."""
    rng = np.random.default_rng(3)
    hours = int(DEFAULT.total_seconds() // _HOUR_S)
    began = time.perf_counter()
    with database(settings.require_database_url()).connect() as connection:
        seen = SeenIds(Horizon.of(DEVICES, DEFAULT))
        with connection.begin():
            seen.load(connection)
        for hour in range(START // _HOUR_S - hours + 1, START // _HOUR_S + 1):
            for first in range(0, count // hours, CAPACITY):
                _store(connection, seen, rng, hour, min(CAPACITY, count // hours - first))
        seconds = time.perf_counter() - began
        print(f"storing took {1e6 * seconds / count:.2f} s for a million ids", flush=True)
        _read_an_hour(connection, START // _HOUR_S, count // hours)


def _store(connection: Connection, seen: SeenIds, rng: np.random.Generator, hour: int, count: int) -> None:
    entries = np.zeros(count, ENTRY)
    entries["id_hash"] = rng.integers(0, 2**64, (count, 2), np.uint64)
    entries["hour"] = hour
    with connection.begin():
        seen.store(connection, keys_of(entries), entries, {hour: np.arange(count)})
        seen.finish(connection)


def _read_an_hour(connection: Connection, hour: int, count: int) -> None:
    """Print how long the first lookup of many ids of an hour takes, and what the hour takes in memory then."""
    wanted = np.zeros(1_000, ENTRY)
    wanted["hour"] = hour
    with connection.begin():
        seen = SeenIds(Horizon.of(DEVICES, DEFAULT))
        seen.load(connection)
        began = time.perf_counter()
        seen.lookup(connection, keys_of(wanted), wanted, {hour: np.arange(len(wanted))})
        seconds = time.perf_counter() - began
    print(f"reading the filters of an hour of {count:,} ids took {seconds:.2f} s; "
          f"in memory they take {seen.size / count:.1f} MB for a million ids", flush=True)  # fmt: skip


def _print_cost(settings: Settings, count: int) -> None:
    """Print what a million ids cost on disk."""
    with database(settings.require_database_url()).begin() as connection:
        stored = connection.execute(SQL["size_of_ids"]).scalar_one()
    print(f"a million ids take {stored / count:.1f} MB on disk", flush=True)
