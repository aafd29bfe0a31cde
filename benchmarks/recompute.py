"""The hourly and the monthly recompute over a history of many records, beside DuckDB over the same files.

DuckDB reads the parquet files of the table, keeps one record of each id, and adds up; it neither compares nor writes.
The histories are made by Spark, not by the pipeline; what the ledger must say of them is written beside.
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
from sqlalchemy import text

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.feeds import DATA_RECORDS, DEVICES, Feed
from bytemeter.history.table import History
from bytemeter.postgres import database
from bytemeter.settings import Settings
from simulator.subscribers import msisdn

MONTH = Month(2025, 11)
HOUR = dt.datetime(2025, 11, 21, 10, tzinfo=dt.UTC)
_REPEATED = 0.01


@dataclass(frozen=True)
class Recompute:
    """Which recomputes to time.

    Attributes:
        hour_records, month_records: how many records, 1 % of them repeats.
        users: of the hour; and how many agreements there are.
    """

    session: SparkSession
    hour_records: int
    month_records: int
    users: int
    rounds: int

    def hourly(self, settings: Settings) -> None:
        """Time the recompute of one hour of devices."""
        hour_s = int(HOUR.timestamp())
        numbers = self._numbers(self.hour_records).selectExpr(
            "partition", "offset", "cast(500 + n % 9500 as bigint) as bytes", f"{hour_s} + n % 3600 as timestamp",
            "concat('APP', n % 12) as app",
            f"concat('00000000-0000-0000-0000-', lpad(cast(drawn % {self.users} as string), 12, '0')) as id",
            "concat('00000000-0000-0000-0000-', lpad(cast(drawn % 500 as string), 12, '0')) as antenna_id",
            "md5(cast(n as string)) as event_id", f"timestamp_seconds({hour_s} + n % 3600) as event_time",
        )  # fmt: skip
        _keep(History(self.session, settings.require_history(), DEVICES), numbers, settings)
        with database(settings.require_database_url()).begin() as connection:
            connection.execute(text("insert into hours (feed, hour) values ('devices', :hour)"), {"hour": HOUR})
        self._compare(
            f"hourly recompute, {self.hour_records:,} records",
            lambda: HourlyJob(self.session, settings, DEVICES).run([HOUR]),
            lambda: _duckdb_hour(settings),
        )

    def monthly(self, settings: Settings) -> None:
        """Time the recompute of one month of data records; there are agreements of all users."""
        month_s = int(MONTH.start.timestamp())
        at = f"timestamp_seconds({month_s} + pmod(drawn, {28 * 86_400}))"
        numbers = self._numbers(self.month_records).selectExpr(
            "partition", "offset", "md5(cast(n as string)) as id",
            "concat('r', lpad(cast(n as string), 15, '0')) as internalId",
            f"cast({msisdn(0)} + drawn % {self.users} as string) as msisdn",
            f"""date_format({at}, "yyyy-MM-dd'T'HH:mm:ss'Z[UTC]'") as recordedAt""",
            "cast(n % 10000000 as bigint) as recordedBytes", f"{at} as event_time",
        )  # fmt: skip
        _keep(History(self.session, settings.require_history(), DATA_RECORDS), numbers, settings)
        now = MONTH.end + dt.timedelta(hours=3)
        self._compare(
            f"monthly recompute, {self.month_records:,} records",
            lambda: MonthlyJob(self.session, settings, MONTH, now).run(),
            lambda: _duckdb_month(settings),
        )

    def _numbers(self, records: int) -> DataFrame:
        """Rows of partition, offset, n (the same for a repeat, which comes after) and drawn, at random by n."""
        distinct = int(records * (1 - _REPEATED))
        n = f"if(id < {distinct}, id, id - {distinct})"
        return (
            self.session.range(records)
            .selectExpr("cast(id % 3 as int) as partition", "id div 3 as offset", f"{n} as n")
            .selectExpr("*", "xxhash64(n) & 9223372036854775807 as drawn")
        )

    def _compare(self, name: str, ours: Callable[[], object], peer: Callable[[], object]) -> None:
        cold, *warm = list(_times(ours, self.rounds))
        *_, best = sorted(_times(peer, self.rounds), reverse=True)
        middle = median(warm or [cold])
        print(f"{name:<40} cold {cold:.1f} s, warm {min(warm or [cold]):.1f} s, median {middle:.1f} s; "
              f"DuckDB {best:.1f} s, {middle / best:.1f} times", flush=True)  # fmt: skip


def _keep(history: History, records: DataFrame, settings: Settings) -> None:
    """Make the history hold the records, and the ledger say so."""
    history.create()
    rows = records.selectExpr("*", "to_date(event_time) as event_date", "hour(event_time) as event_hour")
    ends = {p: rows.count() for p in range(3)}
    columns = history.read().columns
    rows = rows.select(columns).repartition("event_date", "event_hour")
    rows.write.format("delta").mode("append").save(history.path)
    history.append([], ends, after={})
    ledger = text("insert into ledger (feed, partition, topic_id, next_offset) values (:feed, :partition, '', :offset)")
    with database(settings.require_database_url()).begin() as connection:
        connection.execute(text("truncate ledger, hours, duplicate_events, invalid_events"))
        for partition, offset in ends.items():
            connection.execute(ledger, {"feed": history.feed.name, "partition": partition, "offset": offset})


def _times(job: Callable[[], object], rounds: int) -> Iterator[float]:
    for _ in range(rounds):
        began = time.perf_counter()
        job()
        yield time.perf_counter() - began


def _duckdb_hour(settings: Settings) -> None:
    distinct = f"""
        select distinct on (event_id) * from {_files(settings, DEVICES)} order by event_id, "partition", "offset"
    """
    types = {"antenna_bytes_total": "antenna_id", "app_bytes_total": "app", "user_bytes_total": "id"}
    sums = " union all ".join(
        f"select '{type_}', {column}, sum(bytes) from records group by {column}" for type_, column in types.items()
    )
    with duckdb.connect() as memory:
        memory.sql(f"with records as materialized ({distinct}) {sums}").fetchall()


def _duckdb_month(settings: Settings) -> None:
    with database(settings.require_database_url()).begin() as connection:
        owned = connection.execute(text("select msisdn, agreement_id from plan_ownership group by 1, 2")).all()
    with duckdb.connect() as memory:
        msisdns, agreements = zip(*owned, strict=True)
        memory.register("owners", pa.table({"msisdn": msisdns, "agreement": agreements}))
        memory.sql(f"""
            with records as (
                select distinct on (id, event_date, event_hour) * from {_files(settings, DATA_RECORDS)}
                order by id, event_date, event_hour, "partition", "offset"
            )
            select agreement, sum(recordedBytes), max((cast(left(recordedAt, 20) as timestamptz), internalId))
            from records inner join owners using (msisdn)
            group by agreement
        """).fetchall()


def _files(settings: Settings, feed: Feed) -> str:
    return f"read_parquet('{settings.require_history()}/{feed.name}/**/*.parquet', hive_partitioning = true)"
