"""The usage API beside the live query: percentiles of requests at a steady rate, and how late events reach clients."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from urllib.parse import urlsplit

import uvloop
from sqlalchemy import Engine

from benchmarks.topics import Topics, own_process
from bytemeter.plans.calendars import Calendar, Years, ensure_periods
from bytemeter.postgres import database
from bytemeter.settings import PREFIX, Settings
from bytemeter.sql import Statements
from simulator.traffic import Rhythm

SQL = Statements("benchmarks", "usage_api.sql")
RATE, LIVE_RATE, CLIENTS, EVENTS = 200, 5_000, 500, 40
NICENESS = 10
_CONNECTIONS, _WARM_UP_S = 20, 5
# Until then Spark's JVM mostly compiles; as before alerts are measured.
_LIVE_WARM_UP_S = 20
_FIRST_MSISDN = 48_500_000_001


def measure_usage_api(topics: Topics, seconds: int) -> None:
    """Print percentiles of requests, and of the time from the commit of an event to its last client."""
    settings = topics.place("api.", own_database="usage_api")
    engine = database(settings.require_database_url())
    with engine.begin() as connection:
        for name in ("fill_windows", "fill_hours", "fill_states", "fill_usage", "fill_bills"):
            if name == "fill_usage":
                connection.execute(SQL["fill_agreements"], {"users": topics.users})
                connection.execute(SQL["fill_versions"])
                connection.execute(SQL["fill_services"])
                # As the stream stores them, of all calendars in use.
                ensure_periods(connection, {Calendar("UTC", 1): Years(2025, dt.datetime.now(dt.UTC).year)})
            connection.execute(SQL[name])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(SQL["analyse"])
    print(f"\nusage API: 30 days of windows of 120 ids, {topics.users:,} agreements, {RATE} requests/s", flush=True)
    with _api(settings) as url, own_process() as clients:
        live = f"beside the live query at {LIVE_RATE:,} records/s"
        for beside, niceness in (("alone", None), (live, 0), (f"{live} and nice {NICENESS}", NICENESS)):
            with nullcontext() if niceness is None else _live_query(settings, engine, niceness):
                for name, latencies in clients.submit(_requests, url, seconds, topics.users).result().items():
                    _print(f"{name}, {beside}", latencies)
                _print(f"event to the last of {CLIENTS} clients, {beside}", _stream(url, engine))


def _print(name: str, latencies: list[float]) -> None:
    ordered = sorted(latencies)
    shown = ", ".join(f"p{percent} {1_000 * ordered[len(ordered) * percent // 100]:.1f} ms" for percent in (50, 99))
    print(f"{name:<78}{len(ordered):>6}   {shown}, longest {1_000 * ordered[-1]:.1f} ms", flush=True)


@contextmanager
def _api(settings: Settings) -> Iterator[str]:
    command = [sys.executable, "-m", "cli", "api", "--port", "0"]
    environment = {
        **os.environ,
        f"{PREFIX}DATABASE_URL": settings.require_database_url(),
        f"{PREFIX}API_REQUESTS_PER_S": "1000",
    }
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None  # noqa: S101
            yield running.stdout.readline().split()[-1]
        finally:
            running.terminate()


@contextmanager
def _live_query(settings: Settings, engine: Engine, niceness: int) -> Iterator[None]:
    """The live query and a simulator, each a process of its own; entered after a warm-up.

    Args:
        niceness: of the live query's processes.
    """
    environment = {
        **os.environ,
        f"{PREFIX}KAFKA": str(settings.kafka),
        f"{PREFIX}DATABASE_URL": settings.require_database_url(),
        f"{PREFIX}HISTORY": str(settings.history),
        f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix,
    }
    log, before = Path(settings.home) / "live.log", _counted(engine)
    bytemeter = [sys.executable, "-m", "cli"]
    commands = (
        ["nice", "-n", str(niceness), *bytemeter, "stream", "devices"],
        [*bytemeter, "simulate", "devices", "--rate", str(_mean_rate(LIVE_RATE))],
    )
    with log.open("w") as output:
        running = [subprocess.Popen(command, env=environment, stdout=output, stderr=output) for command in commands]
        try:
            deadline = time.monotonic() + 120
            while _counted(engine) < before + 20_000:
                if time.monotonic() > deadline:
                    raise TimeoutError(log.read_text())
                time.sleep(0.5)
            time.sleep(_LIVE_WARM_UP_S)
            yield
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait()


def _mean_rate(present: float) -> float:
    """The mean over a day of which the simulator sends so many records a second at this time of the day."""
    first, second = Rhythm(time.time(), present).take(2)
    return float(present * present * (second - first))


def _counted(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.exec_driver_sql("select coalesce(sum(counted), 0) from ledger").scalar() or 0)


def _requests(url: str, seconds: int, users: int) -> dict[str, list[float]]:
    """Ask at the rate, whether or not earlier requests are answered; seconds of each from when it was due."""
    day = "/v1/usage?feed=devices&dimension=app&window=1h"
    paths: dict[str, Callable[[int], str]] = {
        "a day of one dimension at 1h": lambda _: day,
        "a data plan": lambda n: f"/v1/data-plans/{_FIRST_MSISDN + n * 7919 % users}",
        "a customer": lambda n: f"/customers/customer-{1 + n * 7919 % 100_000}",
    }
    measured: dict[str, list[float]] = {name: [] for name in paths}
    names, first = list(paths), RATE * _WARM_UP_S

    async def client(number: int, began: float) -> None:
        ask = await _asking(url)
        for place in range(number, first + RATE * seconds, _CONNECTIONS):
            due, name = began + place / RATE, names[place % len(names)]
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            await ask(paths[name](place))
            if place >= first:
                measured[name].append(time.perf_counter() - due)

    async def all_clients() -> None:
        began = time.perf_counter() + 0.5
        await asyncio.gather(*(client(number, began) for number in range(_CONNECTIONS)))

    uvloop.run(all_clients())
    return measured


async def _asking(url: str) -> Callable[[str], asyncio.Future[None]]:
    """A connection that stays open, for GET requests that are to be answered with 200."""
    address = urlsplit(url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**20)

    async def ask(path: str) -> None:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        answer = await reader.readexactly(int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0]))
        if not head.startswith(b"http/1.1 200"):
            raise ValueError(answer.decode())

    return ask  # type: ignore[return-value]


def _stream(url: str, engine: Engine) -> list[float]:
    """Seconds from the commit of each event until the last client has it."""
    return uvloop.run(_followed(url, engine))


async def _followed(url: str, engine: Engine) -> list[float]:
    address, seconds = urlsplit(url), []
    readers = []
    for _ in range(CLIENTS):
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(f"GET /v1/threshold-events/stream HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        readers.append((reader, writer))
    for reader, _ in readers:
        await reader.readuntil(b"retry: 1000\n\n")
    for ordinal in range(EVENTS):
        committed = await asyncio.get_running_loop().run_in_executor(None, _cross, engine, ordinal)
        await asyncio.gather(*(reader.readuntil(b"\n\n\r\n") for reader, _ in readers))
        seconds.append(time.perf_counter() - committed)
    for _, writer in readers:
        writer.close()
    return seconds


def _cross(engine: Engine, ordinal: int) -> float:
    with engine.begin() as connection:
        connection.execute(SQL["cross_threshold"], {"agreement": "agreement-1", "ordinal": ordinal})
    return time.perf_counter()
