"""The same totals and thresholds in Flink SQL; run by Flink's own environment, see ``benchmarks.flink.peer``.

Told on standard input as JSON: jars, kafka, prefix (of the topics), jdbc, user, password, and job (totals or thresholds).
Prints the seconds of each of its rounds, from the submission of the job until its last result is in its sink.
"""

from __future__ import annotations

import json
import sys
import time

from pyflink.table import EnvironmentSettings, TableEnvironment

WINDOW_S = 300
LIMIT = 400_000_000

TOPIC = """
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka}', 'topic' = '{prefix}{topic}',
    'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset',
    'format' = 'json', 'json.ignore-parse-errors' = 'true'
"""
DEVICES = """
create table devices (`bytes` bigint, `timestamp` bigint, app string, id string, antenna_id string) with ({topic})
"""
TOTALS = """
create table totals (
    `type` string, id string, window_s bigint, `value` bigint, primary key (`type`, id, window_s) not enforced
) with (
    'connector' = 'jdbc', 'url' = '{jdbc}', 'table-name' = 'flink_totals', 'username' = '{user}',
    'password' = '{password}', 'sink.buffer-flush.max-rows' = '10000', 'sink.buffer-flush.interval' = '1s'
)
"""
ADD_UP = """
insert into totals
select `type`, id, window_s, sum(`bytes`) from (
    select 'antenna_bytes_total' as `type`, antenna_id as id, `timestamp` - mod(`timestamp`, {window}) as window_s, `bytes`
    from devices
    union all
    select 'app_bytes_total', app, `timestamp` - mod(`timestamp`, {window}), `bytes` from devices
    union all
    select 'user_bytes_total', id, `timestamp` - mod(`timestamp`, {window}), `bytes` from devices
)
where `type` is not null and id is not null and window_s is not null
group by `type`, id, window_s
"""
RECORDS = """
create table records (
    id string, internalId string, msisdn string, recordedAt string, recordedBytes bigint, arrived as proctime()
) with ({topic})
"""
CROSSINGS = """
create table crossings (msisdn string, `month` string, total bigint, record string) with (
    'connector' = 'kafka', 'properties.bootstrap.servers' = '{kafka}', 'topic' = '{prefix}flink-crossings',
    'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'flink-{run}',
    'properties.transaction.timeout.ms' = '600000', 'format' = 'json'
)
"""
CROSS = """
insert into crossings
select msisdn, `month`, total, internalId from (
    select msisdn, substring(recordedAt from 1 for 7) as `month`, internalId, recordedBytes,
        sum(recordedBytes) over (
            partition by msisdn, substring(recordedAt from 1 for 7) order by arrived rows unbounded preceding
        ) as total
    from records
    where msisdn is not null and recordedBytes >= 0
)
where total >= {limit} and total - recordedBytes < {limit}
"""


def main() -> None:
    """Run the job told on standard input, once for each round."""
    told = json.load(sys.stdin)
    for run in range(told["rounds"]):
        environment = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
        options = environment.get_config()
        options.set("pipeline.jars", ";".join(f"file://{jar}" for jar in told["jars"]))
        options.set("parallelism.default", "2")
        options.set("execution.checkpointing.interval", "1s")
        options.set("table.exec.mini-batch.enabled", "true")
        options.set("table.exec.mini-batch.allow-latency", "1s")
        options.set("table.exec.mini-batch.size", "50000")
        options.set("table.optimizer.agg-phase-strategy", "TWO_PHASE")
        if told["job"] == "totals":
            environment.execute_sql(DEVICES.format(topic=TOPIC.format(topic="devices", **told)))
            environment.execute_sql(TOTALS.format(**told))
            statement = ADD_UP.format(window=WINDOW_S)
        else:
            environment.execute_sql(RECORDS.format(topic=TOPIC.format(topic="data-records", **told)))
            environment.execute_sql(CROSSINGS.format(run=time.time_ns(), **told))
            statement = CROSS.format(limit=LIMIT)
        began = time.perf_counter()
        environment.execute_sql(statement).wait()
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main()
