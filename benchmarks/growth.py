"""Rates while more is stored: event ids, agreements, open billing periods and files of the history."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median_low

import numpy as np
import psutil
import pyarrow as pa
from matplotlib import pyplot
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

from benchmarks.state import clear, java_memory_gib, quiesce
from benchmarks.streaming import keep, stream
from benchmarks.topics import START, Topics, own_process
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.history.table import History
from bytemeter.postgres import database
from bytemeter.settings import Settings, load_settings
from bytemeter.sql import Statements
from speed_layer.dedup.horizon import DEFAULT, Horizon
from speed_layer.dedup.identified import IdentifiedRecords
from speed_layer.dedup.ids import Deduplicator

SQL = Statements(__package__, "growth.sql")
_FACTORS = (1, 10, 100)
_AT = dt.datetime.fromtimestamp(START, dt.UTC)
_IDS_AT_ONCE = 500_000
# A row of the history of devices.
_ROW = (0, 0, 1, START, "MAPS", "u", "a", None, _AT, _AT.date(), _AT.hour)
# A hundred years: no billing period closes, however many are open before it.
_NO_CLOSING_S = 100 * 366 * 86_400


@dataclass(frozen=True)
class Point:
    """The rate while an amount is stored.

    Attributes:
        stored: what is stored, such as ``agreements``.
        size: how many of them.
        rate: the median of all rounds, records/s.
        best: the best round, records/s.
        java_gib, python_gib: resident memory of the driver: its JVM and its Python.
    """

    stored: str
    size: int
    rate: float
    best: float
    java_gib: float
    python_gib: float

    @property
    def batch_s(self) -> float:
        """Seconds for a full micro-batch."""
        return load_settings().max_records_per_batch / self.rate


@dataclass
class Growth:
    """Measures rates at 1, 10 and 100 times a size, over the same number of records.

    Attributes:
        rounds: how often each size of agreements and periods is measured. Sizes of ids and files are measured once: a
            measurement stores further ones.
    """

    session: SparkSession
    topics: Topics
    rounds: int

    def measure(self, picture: Path, only: list[str]) -> None:
        """Measure, print and draw the chosen growths.

        Args:
            picture: the file to draw into.
            only: parts of the names ``ids``, ``agreements``, ``periods`` and ``files``.
        """
        points: list[Point] = []
        growths: dict[str, Callable[[], Iterator[Point]]] = {
            "ids": partial(self._ids, 1_000_000),
            "agreements": partial(self._agreements, 10_000),
            "periods": partial(self._periods, 10_000),
            "files": partial(self._files, 10),
        }
        self._warm_up()
        rates = f"{'records/s':>12}{'best':>12}{'s per micro-batch':>20}"
        print(f"\n{'stored':<22}{'size':>14}{rates}{'JVM':>10}{'Python':>10}")
        for measure in (measure for name, measure in growths.items() if any(part in name for part in only)):
            for point in measure():
                points.append(point)
                print(f"{point.stored:<22}{point.size:>14,}{point.rate:>12,.0f}{point.best:>12,.0f}{point.batch_s:>20.2f}"
                      f"{point.java_gib:>6.1f} GiB{point.python_gib:>6.1f} GiB", flush=True)  # fmt: skip
        if points:
            draw(points, picture)

    def _warm_up(self) -> None:
        """Let Spark compile the code that the first measurements need."""
        settings = self._devices("warm-up.")
        stream(self.session, settings, [DEVICES])
        keep(self.session, settings, DEVICES)
        clear(settings)

    def _ids(self, least: int) -> Iterator[Point]:
        for factor in _FACTORS:
            settings = self._devices(f"ids-{factor}.")
            # The records are the same for each size: with the ids of the size before they would be duplicates.
            clear(settings)
            with own_process() as process:
                process.submit(_store_ids, settings, least * factor, seed=factor).result()
            quiesce(settings)
            yield self._point("event ids", least * factor, partial(stream, self.session, settings, [DEVICES]))
        clear(settings)

    def _agreements(self, least: int) -> Iterator[Point]:
        sizes = [least * factor for factor in _FACTORS]
        places = {size: self._with_agreements(f"agreements_{size}", size) for size in sizes}
        return self._in_turn("agreements", places)

    def _periods(self, agreements: int) -> Iterator[Point]:
        places = {}
        for factor in _FACTORS:
            settings = self._with_agreements(f"periods_{factor}", agreements)
            with database(settings.require_database_url()).begin() as connection:
                connection.execute(SQL["add_open_periods"], {"periods": factor})
                count = int(connection.scalars(SQL["open_periods"]).one())
            places[count] = settings
        return self._in_turn("open periods", places)

    def _files(self, least: int) -> Iterator[Point]:
        for factor in _FACTORS:
            settings = self._devices(f"files-{factor}.")
            history = History(self.session, settings.require_history(), DEVICES)
            history.create()
            # Spark writes a file for each partition of the range.
            rows = self.session.range(0, factor, 1, factor).select(
                *(F.lit(value).cast(field.dataType).alias(field.name)
                  for field, value in zip(history.read().schema, _ROW, strict=True))
            )  # fmt: skip
            for _ in range(least):
                rows.write.format("delta").mode("append").save(history.path)
            yield self._point("files of the history", least * factor, partial(keep, self.session, settings, DEVICES))
            shutil.rmtree(settings.require_history())

    def _devices(self, prefix: str) -> Settings:
        """A place with devices that have event ids."""
        settings = self.topics.place(prefix)
        self.topics.devices(settings, event_ids=True)
        return settings

    def _with_agreements(self, name: str, agreements: int) -> Settings:
        """A place with agreements and their billing periods, and with data records that are not counted."""
        topics = replace(self.topics, users=agreements)
        place = topics.place(f"{name}.", own_database=name)
        settings = place.model_copy(update={"period_grace_s": _NO_CLOSING_S})
        topics.agreements(settings)
        self._count(settings)
        topics.data_records(settings)
        # The first records of an MSISDN make its ownership spans and billing periods.
        self._count(settings)
        return settings

    def _count(self, settings: Settings) -> None:
        stream(self.session, settings, [AGREEMENTS, DATA_RECORDS])

    def _in_turn(self, stored: str, places: Mapping[int, Settings]) -> Iterator[Point]:
        """Count the same records several times, each size in turn: the speed of a machine changes within minutes."""
        rounds = [[self._counted(stored, *place) for place in places.items()] for _ in range(self.rounds)]
        for points in zip(*rounds, strict=True):
            rates = [point.rate for point in points]
            # The memory of the first round: later rounds come after larger sizes.
            yield replace(points[0], rate=median_low(rates), best=max(rates))

    def _counted(self, stored: str, size: int, settings: Settings) -> Point:
        clear(settings)
        quiesce(settings)
        return self._point(stored, size, lambda: self._count(settings))

    def _point(self, stored: str, size: int, job: Callable[[], None]) -> Point:
        began = time.perf_counter()
        job()
        rate = self.topics.records / (time.perf_counter() - began)
        return Point(stored, size, rate, rate, java_memory_gib(), psutil.Process().memory_info().rss / 2**30)


def draw(points: list[Point], picture: Path) -> None:
    """Draw records/s, seconds for a micro-batch and memory; each size is drawn relative to the smallest one."""
    figure, (rates, batches, memory) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for stored in dict.fromkeys(point.stored for point in points):
        line = [point for point in points if point.stored == stored]
        sizes = [point.size / line[0].size for point in line]
        rates.plot(sizes, [point.rate for point in line], marker="o", label=f"{stored} (from {line[0].size:,})")
        batches.plot(sizes, [point.batch_s for point in line], marker="o")
        memory.plot(sizes, [point.java_gib + point.python_gib for point in line], marker="o")
    titles = ("records/s", "seconds for a micro-batch", "memory of the driver, JVM and Python, GiB")
    for axes, title in zip((rates, batches, memory), titles, strict=True):
        axes.set(
            title=title, xscale="log", xlabel="stored, relative to the smallest size", ylim=(0, 1.08 * axes.dataLim.y1)
        )
        axes.grid(alpha=0.3)
    rates.legend(fontsize="small")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _store_ids(settings: Settings, count: int, seed: int) -> None:
    """Store random event ids as counted, of records from the time within the horizon before ``START``, hour by hour."""
    rng = np.random.default_rng(seed)
    with database(settings.require_database_url()).connect() as connection:
        deduplicator = Deduplicator(Horizon.of(DEVICES, DEFAULT))
        with connection.begin():
            deduplicator.load(connection)
        for first in range(0, count, _IDS_AT_ONCE):
            n = min(_IDS_AT_ONCE, count - first)
            columns = {
                "id_hash": pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(rng.bytes(16 * n))]),
                "event_us": START * 1_000_000 - np.linspace(*_ages_us(first, n, count), n).astype(np.int64),
                "partition": np.zeros(n, np.int32),
                "record_offset": np.arange(n),
                "content_hash": np.zeros(n, np.int64),
            }
            with connection.begin():
                deduplicator.find_duplicates(connection, IdentifiedRecords.of(pa.table(columns)))
                deduplicator.finish(connection)


def _ages_us(first: int, n: int, count: int) -> tuple[float, float]:
    """How long before ``START`` the first and the last of ``n`` ids are, the oldest of all ids first."""
    horizon_us = DEFAULT.total_seconds() * 1e6
    return horizon_us * (1 - first / count), horizon_us * (1 - (first + n) / count)
