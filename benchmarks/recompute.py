"""The hourly and the monthly recompute of large histories, compared with DuckDB over the same Parquet files.

Spark writes the histories, not our history query, and the ledger is set to match them.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import duckdb
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from benchmarks.streaming import stream
from benchmarks.topics import Topics
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed
from bytemeter.history.table import History
from bytemeter.postgres import database
from bytemeter.settings import Settings
from bytemeter.sql import Statements
from simulator.subscribers import msisdn

MONTH = Month(2025, 11)
HOUR = dt.datetime(2025, 11, 21, 10, tzinfo=dt.UTC)
SQL = Statements(__package__, "recompute.sql")
_DUPLICATES = 0.01


@dataclass(frozen=True)
class Recompute:
    """Times recomputes; 1 % of the records of a history are duplicates.

    Attributes:
        topics: its users are those of the hour, and have the MSISDNs of the month.
        rounds: how often each recompute runs.
    """

    session: SparkSession
    topics: Topics
    rounds: int

    def hourly(self, records: int) -> None:
        """Time the recompute of one hour of devices."""
        settings = self.topics.place("hourly.")
        hour_s = int(HOUR.timestamp())
        rows = self._rows(records).selectExpr(
            "partition", "offset", "cast(500 + n % 9500 as bigint) as bytes", f"{hour_s} + n % 3600 as timestamp",
            "concat('APP', n % 12) as app",
            f"concat('00000000-0000-0000-0000-', lpad(cast(drawn % {self.topics.users} as string), 12, '0')) as id",
            "concat('00000000-0000-0000-0000-', lpad(cast(drawn % 500 as string), 12, '0')) as antenna_id",
            "md5(cast(n as string)) as event_id", f"timestamp_seconds({hour_s} + n % 3600) as event_time",
        )  # fmt: skip
        _keep(History(self.session, settings.require_history(), DEVICES), rows, settings)
        with database(settings.require_database_url()).begin() as connection:
            connection.execute(SQL["mark_hour"], {"hour": HOUR})
        self._compare(
            f"hourly recompute, {records:,} records",
            lambda: HourlyJob(self.session, settings, DEVICES).run([HOUR]),
            lambda: _duckdb_hour(settings),
        )

    def monthly(self, records: int) -> None:
        """Time the recompute of one month of data records, with an agreement for each user."""
        settings = self.topics.place("monthly.")
        self._write_agreements(settings)
        month_s = int(MONTH.start.timestamp())
        at = f"timestamp_seconds({month_s} + pmod(drawn, {28 * 86_400}))"
        rows = self._rows(records).selectExpr(
            "partition", "offset", "md5(cast(n as string)) as id",
            "concat('r', lpad(cast(n as string), 15, '0')) as internalId",
            f"cast({msisdn(0)} + drawn % {self.topics.users} as string) as msisdn",
            f"""date_format({at}, "yyyy-MM-dd'T'HH:mm:ss'Z[UTC]'") as recordedAt""",
            "cast(n % 10000000 as bigint) as recordedBytes", f"{at} as event_time",
        )  # fmt: skip
        _keep(History(self.session, settings.require_history(), DATA_RECORDS), rows, settings)
        now = MONTH.end + dt.timedelta(hours=3)
        self._compare(
            f"monthly recompute, {records:,} records",
            lambda: MonthlyJob(self.session, settings, MONTH, now).run(),
            lambda: _duckdb_month(settings),
        )

    def _write_agreements(self, settings: Settings) -> None:
        with database(settings.require_database_url()).begin() as connection:
            connection.execute(SQL["remove_ledger"])
        self.topics.agreements(settings)
        stream(self.session, settings, [AGREEMENTS, DATA_RECORDS])

    def _rows(self, records: int) -> DataFrame:
        """Rows of partition, offset, n (a number, the same in a duplicate and its original) and drawn, random by n."""
        distinct = int(records * (1 - _DUPLICATES))
        n = f"if(id < {distinct}, id, id - {distinct})"
        return (
            self.session.range(records)
            .selectExpr("cast(id % 3 as int) as partition", "id div 3 as offset", f"{n} as n")
            .selectExpr("*", "xxhash64(n) & 9223372036854775807 as drawn")
        )

    def _compare(self, name: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        cold, *later = _seconds(ours, self.rounds)
        warm = later or [cold]
        best = min(_seconds(theirs, self.rounds))
        print(f"{name:<40} cold {cold:.1f} s; warm: best {min(warm):.1f} s, median {median(warm):.1f} s; "
              f"DuckDB: best {best:.1f} s; {median(warm) / best:.1f} times DuckDB's best", flush=True)  # fmt: skip


def _keep(history: History, records: DataFrame, settings: Settings) -> None:
    """Write records to the history, and set the ledger as if they were counted."""
    history.create()
    rows = records.selectExpr("*", "to_date(event_time) as event_date", "hour(event_time) as event_hour")
    # Offsets that are high enough: no partition has more records than all partitions together.
    ends = dict.fromkeys(range(3), rows.count())
    columns = history.read().columns
    rows = rows.select(columns).repartition("event_date", "event_hour")
    rows.write.format("delta").mode("append").save(history.path)
    history.append([], ends, after={})
    with database(settings.require_database_url()).begin() as connection:
        connection.execute(SQL["remove_ledger"])
        for partition, offset in ends.items():
            row = {"feed": history.feed.name, "partition": partition, "offset": offset}
            connection.execute(SQL["set_next_offset"], row)


def _seconds(job: Callable[[], object], rounds: int) -> Iterator[float]:
    for _ in range(rounds):
        began = time.perf_counter()
        job()
        yield time.perf_counter() - began


def _duckdb_hour(settings: Settings) -> None:
    with duckdb.connect() as memory:
        _create_history_view(memory, settings, DEVICES)
        memory.sql(SQL.raw("hourly_totals")).fetchall()


def _duckdb_month(settings: Settings) -> None:
    with database(settings.require_database_url()).connect() as connection:
        owners = connection.execute(SQL["owners"]).all()
    with duckdb.connect() as memory:
        msisdns, agreements = zip(*owners, strict=True)
        memory.register("owners", pa.table({"msisdn": msisdns, "agreement": agreements}))
        _create_history_view(memory, settings, DATA_RECORDS)
        memory.sql(SQL.raw("monthly_totals")).fetchall()


def _create_history_view(memory: duckdb.DuckDBPyConnection, settings: Settings, feed: Feed) -> None:
    files = f"{settings.require_history()}/{feed.name}/**/*.parquet"
    memory.read_parquet(files, hive_partitioning=True).create_view("history")
