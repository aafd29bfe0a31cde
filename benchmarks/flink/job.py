"""The live totals and the data plans' thresholds in Flink SQL, run by Flink's own environment for ``peer.py``.

The first line on standard input says where everything is (``Place`` as JSON), each further one which job to run. The
answer to each is a line on standard output: the seconds that the JVM took to start, then of each job the seconds from
its submission until its last result is in its sink.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from pyflink.common import Configuration
from pyflink.java_gateway import get_gateway
from pyflink.table import EnvironmentSettings, Schema, TableDescriptor, TableEnvironment

# A job that takes longer hangs.
_LONGEST_MS = 1_200_000

_OPTIONS = {
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "10s",
    "execution.checkpointing.storage": "filesystem",
    # Else the end of a job waits for the next checkpoint.
    "execution.checkpointing.checkpoints-after-tasks-finish.enabled": "false",
    # By default a job that fails is begun again for ever.
    "restart-strategy.type": "none",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "5s",
    "table.exec.mini-batch.size": "200000",
    "table.optimizer.agg-phase-strategy": "TWO_PHASE",
}

# What is invalid is left out as ours is, as far as SQL can tell. PostgreSQL takes no NUL in a text.
_TOTALS = """
insert into totals
select `type`, id, window_s, sum(`bytes`) from (
    select used.`type`, used.id, `timestamp` - mod(`timestamp`, 300) as window_s, `bytes`
    from devices cross join unnest(array[
        row('antenna_bytes_total', antenna_id), row('app_bytes_total', app), row('user_bytes_total', devices.id)
    ]) as used (`type`, id)
    where `bytes` between 0 and 1099511627776 and `timestamp` between 946684800 and 7258118399
        and char_length(antenna_id) between 1 and 512 and position(u&'\\0000' in antenna_id) = 0
        and char_length(app) between 1 and 512 and position(u&'\\0000' in app) = 0
        and char_length(devices.id) between 1 and 512 and position(u&'\\0000' in devices.id) = 0
)
group by `type`, id, window_s
"""
# Repeats are told by id, as ours are. But all have one limit, in one period without end: 50, 80 and 100 % of 1 GiB, the
# smallest of the simulated plans.
_THRESHOLDS = """
insert into crossings
with used as (
    select msisdn, id, recordedBytes, sum(recordedBytes) over (
        partition by msisdn order by arrived rows between unbounded preceding and current row
    ) as total
    from (
        select *, count(*) over (
            partition by id order by arrived rows between unbounded preceding and current row
        ) as copy
        from records
        where regexp(msisdn, '^[0-9]{1,15}$') and recordedBytes between 0 and 1099511627776
            and char_length(id) between 1 and 512
    )
    where copy = 1
)
select msisdn, id, total, 536870912 from used where total >= 536870912 and total - recordedBytes < 536870912
union all
select msisdn, id, total, 858993459 from used where total >= 858993459 and total - recordedBytes < 858993459
union all
select msisdn, id, total, 1073741824 from used where total >= 1073741824 and total - recordedBytes < 1073741824
"""
_STATEMENTS = {"totals": _TOTALS, "thresholds": _THRESHOLDS}


@dataclass(frozen=True)
class Place:
    """Where the jobs read and write, and with what.

    Attributes:
        kafka: bootstrap servers.
        devices, records: the topics read, whole as they are when a job is submitted.
        crossings: the topic to which the crossed thresholds are written, at least once.
        totals: options of the JDBC connector: URL, table, user and password of the totals, which are upserted.
        checkpoints: a folder.
        parallelism: as many as the topics have partitions, or some tasks read twice as much as others.
    """

    kafka: str
    devices: str
    records: str
    crossings: str
    totals: dict[str, str]
    checkpoints: str
    parallelism: int


def main() -> None:
    """Answer standard input line by line."""
    answers = _own_standard_output()
    place = Place(**json.loads(sys.stdin.readline()))
    print(_seconds(get_gateway), file=answers, flush=True)
    for line in sys.stdin:
        job = partial(_run, _environment(place), _STATEMENTS[line.strip()])
        print(_seconds(job), file=answers, flush=True)


def _own_standard_output() -> TextIO:
    """Standard output for the answers alone: what libraries and Java print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _seconds(action: Callable[[], object]) -> float:
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def _run(environment: TableEnvironment, statement: str) -> None:
    environment.execute_sql(statement).wait(_LONGEST_MS)


def _environment(place: Place) -> TableEnvironment:
    """An environment that knows the sources and sinks."""
    options = Configuration()
    for name, value in _OPTIONS.items():
        options.set_string(name, value)
    options.set_string("parallelism.default", str(place.parallelism))
    options.set_string("execution.checkpointing.dir", f"file://{place.checkpoints}")
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(options).build()
    environment = TableEnvironment.create(settings)
    environment.create_temporary_table("devices", _source(place, place.devices, _devices()))
    environment.create_temporary_table("records", _source(place, place.records, _records()))
    environment.create_temporary_table("totals", _totals(place))
    environment.create_temporary_table("crossings", _crossings(place))
    return environment


def _devices() -> Schema:
    columns = Schema.new_builder().column("bytes", "bigint").column("timestamp", "bigint")
    return columns.column("app", "string").column("id", "string").column("antenna_id", "string").build()


def _records() -> Schema:
    columns = Schema.new_builder().column("id", "string").column("msisdn", "string").column("recordedAt", "string")
    return columns.column("recordedBytes", "bigint").column_by_expression("arrived", "proctime()").build()


def _source(place: Place, topic: str, schema: Schema) -> TableDescriptor:
    return _connected(
        "kafka",
        schema,
        {
            "properties.bootstrap.servers": place.kafka,
            "topic": topic,
            "scan.startup.mode": "earliest-offset",
            "scan.bounded.mode": "latest-offset",
            "format": "json",
            "json.ignore-parse-errors": "true",
        },
    )


def _totals(place: Place) -> TableDescriptor:
    key = Schema.new_builder().column("type", "string not null").column("id", "string not null")
    schema = key.column("window_s", "bigint not null").column("value", "bigint")
    flushed = {"sink.buffer-flush.max-rows": "10000", "sink.buffer-flush.interval": "1s"}
    return _connected("jdbc", schema.primary_key("type", "id", "window_s").build(), {**place.totals, **flushed})


def _crossings(place: Place) -> TableDescriptor:
    schema = Schema.new_builder().column("msisdn", "string").column("id", "string").column("total", "bigint")
    return _connected(
        "kafka",
        schema.column("threshold", "bigint").build(),
        {
            "properties.bootstrap.servers": place.kafka,
            "topic": place.crossings,
            "sink.delivery-guarantee": "at-least-once",
            "key.format": "raw",
            "key.fields": "msisdn",
            "value.format": "json",
        },
    )


def _connected(connector: str, schema: Schema, options: dict[str, str]) -> TableDescriptor:
    table = TableDescriptor.for_connector(connector).schema(schema)
    for name, value in options.items():
        table = table.option(name, value)
    return table.build()


if __name__ == "__main__":
    main()
