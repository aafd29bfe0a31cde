"""Live totals and crossed thresholds in Flink SQL; ``peer.py`` runs this module in Flink's own environment.

The first line on standard input holds a ``Place`` as JSON. Each further line is the name of a job: ``totals``,
``windows`` or ``thresholds``. Standard output gets one line per line of input: first the seconds in which the JVM
started, then for each job the seconds from its submission until its last result is in its sink.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TextIO

from pyflink.common import Configuration  # type: ignore[import-not-found]
from pyflink.java_gateway import get_gateway  # type: ignore[import-not-found]
from pyflink.table import (  # type: ignore[import-not-found]
    EnvironmentSettings,
    Schema,
    TableDescriptor,
    TableEnvironment,
)

_HERE = Path(__file__).parent
# A job that takes longer hangs.
_LONGEST_MS = 1_200_000

_OPTIONS = {
    "pipeline.object-reuse": "true",
    "execution.checkpointing.interval": "10s",
    "execution.checkpointing.storage": "filesystem",
    # By default the end of a job waits for the next checkpoint.
    "execution.checkpointing.checkpoints-after-tasks-finish.enabled": "false",
    # By default a job that fails is restarted for ever.
    "restart-strategy.type": "none",
    "table.local-time-zone": "UTC",
    "table.exec.mini-batch.enabled": "true",
    "table.exec.mini-batch.allow-latency": "5s",
    "table.exec.mini-batch.size": "200000",
    "table.optimizer.agg-phase-strategy": "TWO_PHASE",
}
# Of an invalid timestamp it is 1970: a date far ahead would move the watermark past all windows.
_EVENT_TIME = "to_timestamp_ltz(if(`timestamp` between 946684800 and unix_timestamp() + 86400, `timestamp`, 0), 0)"
# The simulator's late records are at most three hours late.
_WATERMARK = "event_time - interval '3' hour"


@dataclass(frozen=True)
class Place:
    """What the jobs read and write.

    Attributes:
        kafka: bootstrap servers.
        devices, records: the topics to read, up to the offsets at which they end when a job is submitted.
        crossings: the topic to which crossings are written, at least once.
        totals: options of the JDBC connector (URL, table, user, password) for the table into which totals are upserted.
        checkpoints: a folder.
        parallelism: the number of partitions; with another number some tasks would read twice as much as others.
    """

    kafka: str
    devices: str
    records: str
    crossings: str
    totals: dict[str, str]
    checkpoints: str
    parallelism: int


def main() -> None:
    """Read lines from standard input, and answer each."""
    answers = _own_standard_output()
    place = Place(**json.loads(sys.stdin.readline()))
    print(_seconds(get_gateway), file=answers, flush=True)
    for line in sys.stdin:
        name = line.strip()
        job = partial(_run, _environment(place, watermarks=name == "windows"), name)
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


def _run(environment: TableEnvironment, name: str) -> None:
    environment.execute_sql(_statement(name)).wait(_LONGEST_MS)


def _statement(name: str) -> str:
    return (_HERE / f"{name}.sql").read_text()


def _environment(place: Place, *, watermarks: bool) -> TableEnvironment:
    """An environment with the sources and sinks.

    Args:
        watermarks: whether the source of devices makes watermarks.
    """
    options = Configuration()
    for name, value in _OPTIONS.items():
        options.set_string(name, value)
    options.set_string("parallelism.default", str(place.parallelism))
    options.set_string("execution.checkpointing.dir", f"file://{place.checkpoints}")
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(options).build()
    environment = TableEnvironment.create(settings)
    environment.create_temporary_table("devices", _source(place, place.devices, _devices(watermarks=watermarks)))
    environment.create_temporary_table("records", _source(place, place.records, _records()))
    environment.create_temporary_table("totals", _totals(place))
    environment.create_temporary_table("crossings", _crossings(place))
    environment.execute_sql(_statement("measured"))
    return environment


def _devices(*, watermarks: bool) -> Schema:
    columns = Schema.new_builder().column("bytes", "bigint").column("timestamp", "bigint").column("app", "string")
    columns = columns.column("id", "string").column("antenna_id", "string")
    columns = columns.column_by_expression("event_time", _EVENT_TIME)
    return (columns.watermark("event_time", _WATERMARK) if watermarks else columns).build()


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
            # At these offsets the source ends with the highest watermark, so all windows are emitted.
            "scan.bounded.mode": "latest-offset",
            "format": "json",
            "json.ignore-parse-errors": "true",
        },
    )


def _totals(place: Place) -> TableDescriptor:
    key = Schema.new_builder().column("type", "string not null").column("id", "string not null")
    schema = key.column("window_s", "bigint not null").column("value", "bigint")
    flushes = {"sink.buffer-flush.max-rows": "10000", "sink.buffer-flush.interval": "1s"}
    return _connected("jdbc", schema.primary_key("type", "id", "window_s").build(), {**place.totals, **flushes})


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
