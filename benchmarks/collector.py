"""The collector beside a bare producer: events/s in batches, and the latency of single events at a steady rate."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median
from urllib.parse import urlsplit

import psutil
import uvloop

from benchmarks.topics import Topics, own_process, seconds_to_send
from bytemeter.kafka import Kafka
from bytemeter.settings import PREFIX, Settings
from embedded.home import HOST, free_port, listens, wait_until
from simulator.devices import DeviceSimulation
from simulator.traffic import Message, Traffic

BATCH, RATE = 500, 1_000
_BATCH_CONNECTIONS, _SINGLE_CONNECTIONS = 4, 32
_WARM_UP_S = 3
_BARE, _PLAIN, _OURS = "bare producer, built before", "plain route that only produces", f"collector, batches of {BATCH}"


@dataclass
class Load:
    """What clients measured.

    Attributes:
        events: accepted ones.
        seconds: of all requests together.
        latencies: seconds of each request, from the moment when it was due.
    """

    events: int = 0
    seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float:
        """The latency below which this share of the requests is, in ms."""
        return 1_000 * sorted(self.latencies)[int(len(self.latencies) * share)]


def measure_collector(topics: Topics, rounds: int, seconds: int) -> None:
    """Print events/s of a bare producer and of one collector in batches, and percentiles of single requests."""
    settings = topics.place("collector.")
    built = [[message["value"] or b"" for message in messages] for messages in _messages(topics.records)]
    rates: dict[str, list[float]] = {_BARE: [], _PLAIN: [], _OURS: []}
    with _plain_route(settings) as plain, own_collector(settings) as (process, url), own_process() as clients:
        clients.submit(_batches, url, built[:20]).result()
        memory_mib = [process.memory_info().rss / 2**20]
        cpu_s = 0.0
        for _ in range(rounds):
            pieces = ((0.0, messages) for messages in _messages(topics.records))
            rates[_BARE].append(topics.records / seconds_to_send(settings, "devices", pieces))
            load = clients.submit(_batches, plain, built).result()
            rates[_PLAIN].append(load.events / load.seconds)
            cpu_s -= _cpu_s(process)
            load = clients.submit(_batches, url, built).result()
            cpu_s += _cpu_s(process)
            rates[_OURS].append(load.events / load.seconds)
            memory_mib.append(process.memory_info().rss / 2**20)
        plain_single = clients.submit(_singles, plain, built[0], min(10, seconds)).result()
        batch_us, cpu_s = 1e6 * cpu_s / rounds / topics.records, -_cpu_s(process)
        single = clients.submit(_singles, url, built[0], seconds).result()
        single_us = 1e6 * (cpu_s + _cpu_s(process)) / RATE / (seconds + _WARM_UP_S)
        memory_mib.append(process.memory_info().rss / 2**20)
    print(f"\ncollector: {topics.records:,} devices with event ids, {rounds} rounds")
    for name, measured in rates.items():
        print(f"{name:<36}best {max(measured):>10,.0f}/s   median {median(measured):>10,.0f}/s")
    for name, measured_load in (("plain route", plain_single), ("collector", single)):
        print(
            f"single events, {RATE:,} requests/s, {name}: {measured_load.events:,} accepted, "
            f"p50 {measured_load.percentile(0.5):.1f} ms, p99 {measured_load.percentile(0.99):.1f} ms, "
            f"longest {max(measured_load.latencies) * 1_000:.1f} ms"
        )
    print(f"CPU time of the collector: {batch_us:.1f} μs an event in batches, {single_us:.0f} μs a single request")
    print(
        "resident memory after each round and the single events, MiB: " + ", ".join(f"{mib:.0f}" for mib in memory_mib),
        flush=True,
    )


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _messages(records: int) -> Iterator[list[Message]]:
    traffic = Traffic(time.time() - 3_600, rate=records / 3_600, records=records, subscribers=100_000, antennas=500)
    for _, messages in DeviceSimulation(traffic).pieces(BATCH):
        yield messages


@contextmanager
def _plain_route(settings: Settings) -> Iterator[str]:
    """The plain route, served by uvicorn as a process of its own; its URL."""
    kafka, port = Kafka(settings), free_port()
    command = [sys.executable, "-m", "uvicorn", "benchmarks.plain_route:app", "--port", str(port), "--no-access-log"]
    environment = {**os.environ, "PLAIN_KAFKA": kafka.servers, "PLAIN_TOPIC": kafka.topic_name("devices")}
    with subprocess.Popen([*command, "--log-level", "error"], env=environment) as running:
        try:
            wait_until(lambda: listens(port), what="the plain route", log=settings.home)
            yield f"http://{HOST}:{port}"
        finally:
            running.terminate()


@contextmanager
def own_collector(settings: Settings) -> Iterator[tuple[psutil.Process, str]]:
    """A collector as a process of its own, with its URL."""
    command = [sys.executable, "-m", "cli", "--kafka", str(settings.kafka), "collector", "--port", "0"]
    environment = {**os.environ, f"{PREFIX}TOPIC_PREFIX": settings.topic_prefix}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None  # noqa: S101
            yield psutil.Process(running.pid), running.stdout.readline().split()[-1]
        finally:
            running.terminate()


def _batches(url: str, batches: list[list[bytes]]) -> Load:
    """Send batches as fast as a few connections can."""
    bodies = iter([b"[" + b",".join(batch) + b"]" for batch in batches])
    load = Load()

    async def client() -> None:
        connection = await Connection.to(url)
        for body in bodies:
            # Others add to it while this one waits.
            accepted = await connection.accepted(body)
            load.events += accepted

    async def all_clients() -> None:
        await asyncio.gather(*(client() for _ in range(_BATCH_CONNECTIONS)))

    began = time.perf_counter()
    uvloop.run(all_clients())
    load.seconds = time.perf_counter() - began
    return load


def _singles(url: str, events: list[bytes], seconds: int) -> Load:
    """Send single events at the rate, whether or not earlier ones are answered."""
    load = Load()
    measured = RATE * seconds
    first = RATE * _WARM_UP_S

    async def client(number: int, began: float) -> None:
        connection = await Connection.to(url)
        for place in range(number, first + measured, _SINGLE_CONNECTIONS):
            due = began + place / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            accepted = await connection.accepted(events[place % len(events)])
            if place >= first:
                load.events += accepted
                load.latencies.append(time.perf_counter() - due)

    async def all_clients() -> None:
        began = time.perf_counter() + 0.5
        await asyncio.gather(*(client(number, began) for number in range(_SINGLE_CONNECTIONS)))

    uvloop.run(all_clients())
    return load


class Connection:
    """A connection that stays open: less work than a client that knows all of HTTP, as clients share the machine."""

    def __init__(self, host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._head = f"POST /v1/events/devices HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"

    @staticmethod
    async def to(url: str) -> Connection:
        """Connect."""
        address = urlsplit(url)
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=2**20)
        return Connection(address.netloc, reader, writer)

    async def accepted(self, body: bytes, key: str | None = None) -> int:
        """Post a body, with an Idempotency-Key or without one; returns how many of its events were accepted.

        Raises:
            ValueError: another answer than 200 or 207.
        """
        named = f"Idempotency-Key: {key}\r\n" if key else ""
        self._writer.write(f"{self._head}{named}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length: ")[2].split(b"\r\n", 1)[0])
        answer = await self._reader.readexactly(length)
        if not head.startswith((b"http/1.1 200", b"http/1.1 207")):
            raise ValueError(answer.decode())
        # The answer begins with it.
        return int(answer.partition(b":")[2].partition(b",")[0].strip(b" }"))
