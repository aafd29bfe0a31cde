"""The collector's memory under a steady load: samples, and the slope of the line through them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from concurrent.futures import Future
from itertools import count

import numpy as np
import psutil
import uvloop

from benchmarks.collector import BATCH, RATE, Connection, own_collector
from benchmarks.topics import Topics, own_process
from simulator.devices import DeviceSimulation
from simulator.traffic import Traffic

_BATCHES_A_SECOND, _CONNECTIONS = 4, 32
_SAMPLES = 60
# Buffers, and the remembered Idempotency-Keys, fill up first.
_SETTLED = 0.25
_RECORDS = 20_000


def measure_memory(topics: Topics, seconds: int) -> None:
    """Print the resident memory of a collector while it takes single events and batches, and how it grows."""
    settings = topics.place("soak.")
    events = _events()
    with own_collector(settings) as (process, url), own_process() as clients:
        began = time.monotonic()
        load: Future[tuple[int, float]] = clients.submit(_load, url, events, seconds)
        at_s, mib = [], []
        while not load.done():
            at_s.append(time.monotonic() - began)
            mib.append(process.memory_info().rss / 2**20)
            psutil.wait_procs([process], timeout=seconds / _SAMPLES)
        accepted, p99_ms = load.result()
    print(
        f"\ncollector memory: {RATE:,} single requests/s and {_BATCHES_A_SECOND} batches of {BATCH}/s for {seconds:,} s"
    )
    print(f"{accepted:,} events accepted, p99 of single requests {p99_ms:.1f} ms")
    print("resident memory, MiB: " + ", ".join(f"{value:.0f}" for value in mib[:: max(1, len(mib) // 20)]))
    settled = round(_SETTLED * len(mib))
    growth = slope(at_s[settled:], mib[settled:])
    print(f"growth after the first quarter: {3_600 * growth:+.1f} MiB/h, most {max(mib):.0f} MiB", flush=True)


def slope(at: Sequence[float], values: Sequence[float]) -> float:
    """The slope of the line with the least squares of distances; 0 with fewer than two points."""
    return float(np.polyfit(at, values, 1)[0]) if len(at) > 1 else 0.0


def _events() -> list[bytes]:
    """Devices without event ids: the collector gives them some."""
    traffic = Traffic(time.time() - 3_600, rate=_RECORDS / 3_600, records=_RECORDS, event_ids=False)
    return [message["value"] or b"" for _, piece in DeviceSimulation(traffic).pieces() for message in piece]


def _load(url: str, events: list[bytes], seconds: int) -> tuple[int, float]:
    """Send single events, each with a new Idempotency-Key, and batches; returns how many, and the p99 in ms."""
    latencies: list[float] = []
    keys = count()
    accepted = 0

    async def client(number: int, began: float) -> None:
        nonlocal accepted
        connection = await Connection.to(url)
        for place in range(number, RATE * seconds, _CONNECTIONS):
            due = began + place / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            taken = await connection.accepted(events[place % len(events)], f"single-{next(keys)}")
            accepted += taken
            latencies.append(time.perf_counter() - due)

    async def batches(began: float) -> None:
        nonlocal accepted
        connection = await Connection.to(url)
        bodies = [
            b"[" + b",".join(events[start : start + BATCH]) + b"]" for start in range(0, len(events) - BATCH, BATCH)
        ]
        for place in range(_BATCHES_A_SECOND * seconds):
            await asyncio.sleep(max(0.0, began + place / _BATCHES_A_SECOND - time.perf_counter()))
            taken = await connection.accepted(bodies[place % len(bodies)], f"batch-{next(keys)}")
            accepted += taken

    async def all_clients() -> None:
        began = time.perf_counter() + 0.5
        await asyncio.gather(batches(began), *(client(number, began) for number in range(_CONNECTIONS)))

    uvloop.run(all_clients())
    return accepted, 1_000 * sorted(latencies)[int(0.99 * len(latencies))]
