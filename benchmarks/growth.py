"""What a record costs as more is stored: agreements, ids seen, files of the history and open billing periods."""

from __future__ import annotations

import datetime as dt
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low

import numpy as np
import psutil
import pyarrow as pa
from matplotlib import pyplot
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sqlalchemy import text

from benchmarks.throughput import clear, java_memory_gib, keep, quiesce, stream
from benchmarks.topics import START, Topics, apart
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.history.table import History
from bytemeter.postgres import database
from bytemeter.settings import Settings, load_settings
from speed_layer.dedup.ids import Deduplicator, IdentifiedRecords

_FACTORS = (1, 10, 100)
_AT = dt.datetime.fromtimestamp(START, dt.UTC)
_IDS_AT_ONCE = 500_000
# Of the history of devices.
_RECORD = (0, 0, 1, START, "MAPS", "u", "a", None, _AT, _AT.date(), _AT.hour)
# No period closes by event time while others are open: a hundred years.
_NO_CLOSING_S = 100 * 366 * 86_400


@dataclass(frozen=True)
class Point:
    """With so much of something stored, so many records a second.

    Attributes:
        rate: of several measurements the median.
        best: and the best one.
        driver_gib, python_gib: resident memory of the JVM and of the driver's Python.
    """

    stored: str
    size: int
    rate: float
    best: float
    driver_gib: float
    python_gib: float

    @property
    def batch_s(self) -> float:
        """Seconds for each full micro-batch."""
        return load_settings().max_records_per_batch / self.rate


@dataclass
class Growth:
    """Measures each quantity at 1, 10 and 100 times a size; the records are the same number each time.

    Attributes:
        rounds: how often each size of agreements and periods is measured. Of ids and files once: a further round would
            find other ones stored.
    """

    session: SparkSession
    topics: Topics
    rounds: int

    def measure(self, picture: Path, only: list[str]) -> None:
        """Measure, print and draw what has one of these in its name: ids, agreements, periods, files."""
        points: list[Point] = []
        every = {
            "ids": lambda: self._ids(1_000_000),
            "agreements": lambda: self._agreements(10_000),
            "periods": lambda: self._periods(10_000),
            "files": lambda: self._files(10),
        }
        self._warm_up()
        print(f"\n{'stored':<22}{'size':>14}{'records/s':>12}{'best':>12}{'s per batch':>14}{'JVM':>10}{'Python':>10}")
        for measure in (measure for name, measure in every.items() if any(part in name for part in only)):
            for point in measure():
                points.append(point)
                print(f"{point.stored:<22}{point.size:>14,}{point.rate:>12,.0f}{point.best:>12,.0f}{point.batch_s:>14.2f}"
                      f"{point.driver_gib:>6.1f} GiB{point.python_gib:>6.1f} GiB", flush=True)  # fmt: skip
        if points:
            draw(points, picture)

    def _warm_up(self) -> None:
        """Let Spark compile what the first measurements need."""
        settings = self._devices("warm-up.")
        stream(self.session, settings, [DEVICES])
        keep(self.session, settings, DEVICES)
        clear(settings)

    def _ids(self, least: int) -> Iterator[Point]:
        for factor in _FACTORS:
            settings = self._devices(f"ids-{factor}.")
            # All of it: the records are the same each time, and would be repeats.
            clear(settings)
            with apart() as process:
                process.submit(_see, settings, least * factor, seed=factor).result()
            quiesce(settings)
            yield self._point("ids seen", least * factor, lambda s=settings: stream(self.session, s, [DEVICES]))
        clear(settings)

    def _agreements(self, least: int) -> Iterator[Point]:
        sizes = [least * factor for factor in _FACTORS]
        return self._in_turn("agreements", {size: self._agreed(f"agreements_{size}", size) for size in sizes})

    def _periods(self, agreements: int) -> Iterator[Point]:
        places = {}
        for factor in _FACTORS:
            settings = self._agreed(f"periods_{factor}", agreements)
            with database(settings.require_database_url()).begin() as connection:
                connection.execute(_OPEN_PERIODS, {"periods": factor})
                count = connection.scalars(text("select count(*) from data_plan_usage where status = 'open'")).one()
            places[count] = settings
        return self._in_turn("open periods", places)

    def _files(self, least: int) -> Iterator[Point]:
        for factor in _FACTORS:
            settings = self._devices(f"files-{factor}.")
            history = History(self.session, settings.require_history(), DEVICES)
            history.create()
            # A file for each partition of the range.
            records = self.session.range(0, factor, 1, factor).select(
                *(F.lit(value).cast(field.dataType).alias(field.name)
                  for field, value in zip(history.read().schema, _RECORD, strict=True))
            )  # fmt: skip
            for _ in range(least):
                records.write.format("delta").mode("append").save(history.path)
            yield self._point("files of history", least * factor, lambda s=settings: keep(self.session, s, DEVICES))
            shutil.rmtree(settings.require_history())

    def _devices(self, prefix: str) -> Settings:
        """A place with records of devices, with ids."""
        settings = self.topics.place(prefix)
        self.topics.devices(settings, event_ids=True)
        return settings

    def _agreed(self, name: str, agreements: int) -> Settings:
        """A place with so many agreements, in the middle of a month, and data records that are to be counted."""
        topics = replace(self.topics, users=agreements)
        place = topics.place(f"{name}.", own_database=name)
        settings = place.model_copy(update={"period_grace_s": _NO_CLOSING_S})
        topics.agreements(settings)
        self._count(settings)
        topics.data_records(settings)
        # The first records of a number have its segments and periods made.
        self._count(settings)
        return settings

    def _count(self, settings: Settings) -> None:
        stream(self.session, settings, [AGREEMENTS, DATA_RECORDS])

    def _in_turn(self, stored: str, places: Mapping[int, Settings]) -> Iterator[Point]:
        """Count the same records several times, each size in turn: how fast a machine is changes within minutes."""
        rounds = [[self._counted(stored, *place) for place in places.items()] for _ in range(self.rounds)]
        for points in zip(*rounds, strict=True):
            rates = [point.rate for point in points]
            # The memory is the first round's: later ones come after larger sizes.
            yield replace(points[0], rate=median_low(rates), best=max(rates))

    def _counted(self, stored: str, size: int, settings: Settings) -> Point:
        clear(settings)
        quiesce(settings)
        return self._point(stored, size, lambda: self._count(settings))

    def _point(self, stored: str, size: int, job: Callable[[], None]) -> Point:
        began = time.perf_counter()
        job()
        took = time.perf_counter() - began
        python = psutil.Process().memory_info().rss / 2**30
        rate = self.topics.records / took
        return Point(stored, size, rate, rate, java_memory_gib(), python)


def draw(points: list[Point], picture: Path) -> None:
    """Draw records/s, seconds for each micro-batch and memory over the sizes, each relative to the least."""
    figure, (rates, batches, memory) = pyplot.subplots(1, 3, figsize=(13, 4), layout="constrained")
    for stored in dict.fromkeys(point.stored for point in points):
        line = [point for point in points if point.stored == stored]
        grown = [point.size / line[0].size for point in line]
        rates.plot(grown, [point.rate for point in line], marker="o", label=f"{stored} (from {line[0].size:,})")
        batches.plot(grown, [point.batch_s for point in line], marker="o")
        memory.plot(grown, [point.driver_gib + point.python_gib for point in line], marker="o")
    titles = ("records a second", "seconds for each micro-batch", "driver's memory, JVM and Python, GiB")
    for axes, title in zip((rates, batches, memory), titles, strict=True):
        axes.set(title=title, xscale="log", xlabel="times as much stored", ylim=(0, 1.08 * axes.dataLim.y1))
        axes.grid(alpha=0.3)
    rates.legend(fontsize="small")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _see(settings: Settings, count: int, seed: int) -> None:
    """Remember so many random ids of records of the hours before."""
    rng = np.random.default_rng(seed)
    with database(settings.require_database_url()).connect() as connection:
        seen = Deduplicator(DEVICES.name)
        with connection.begin():
            seen.load(connection)
        for first in range(0, count, _IDS_AT_ONCE):
            n = min(_IDS_AT_ONCE, count - first)
            columns = {
                "id_hash": pa.Array.from_buffers(pa.binary(16), n, [None, pa.py_buffer(rng.bytes(16 * n))]),
                "event_us": START * 1_000_000 - rng.integers(0, 30 * 86_400_000_000, n),
                "partition": np.zeros(n, np.int32),
                "record_offset": np.arange(n),
                "content_hash": np.zeros(n, np.int64),
            }
            with connection.begin():
                seen.find_duplicates(connection, IdentifiedRecords.of(pa.table(columns)))
                seen.finish(connection)


# Earlier ones of each agreement, a hundred days apart.
_OPEN_PERIODS = text("""
insert into data_plan_usage (agreement_id, period_start, period_end, year, month)
select
    agreement_id, period_start - n * interval '100 days', period_end - n * interval '100 days',
    2000, 1
from data_plan_usage
cross join generate_series(1, :periods - 1) as n
""")
