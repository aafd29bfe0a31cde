"""``make bench``: the measurements run one after the other, on an embedded stack that is removed at the end.

Kafka, PostgreSQL and Spark share the machine. By default everything is measured, except growth and other systems. The
names that ``--only`` selects are start, collector, collector memory, importer, usage api, message shapes, those of the
streaming jobs as they are printed (such as live totals), telemetry, simulator, ids within the horizon, alert latency,
hourly recompute, monthly recompute, compaction, charts and dashboards.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import psutil
from pyspark.sql import SparkSession

from benchmarks.buckets import bucket
from benchmarks.charts import measure_charts
from benchmarks.collector import measure_collector
from benchmarks.collector_memory import measure_memory
from benchmarks.compaction import measure_compaction
from benchmarks.drawing import measure_drawing
from benchmarks.flink.peer import JOBS as FLINK_JOBS
from benchmarks.flink.peer import flink_sql
from benchmarks.growth import Growth
from benchmarks.identities import measure_identities
from benchmarks.importer import measure_importer
from benchmarks.latency import measure_latency
from benchmarks.parsing import measure_parsing
from benchmarks.recompute import Recompute
from benchmarks.shapes import measure_shapes
from benchmarks.simulated import measure_simulator
from benchmarks.start import measure_start
from benchmarks.streaming import StreamingJobs
from benchmarks.telemetry import measure_telemetry
from benchmarks.throughput import Throughput
from benchmarks.topics import Topics
from benchmarks.usage_api import measure_usage_api
from bytemeter import logs
from bytemeter.postgres import database
from bytemeter.spark import local_session
from embedded.home import Home
from embedded.stack import EmbeddedStack

# Whether a name is selected.
Selected = Callable[[str], bool]


def main() -> None:
    """Start a stack, measure what the arguments select, and remove the stack."""
    arguments = _parser().parse_args()
    only: list[str] = arguments.only or [""]

    def selected(name: str) -> bool:
        return any(part in name for part in only)

    logs.configure(quiet=True)
    home = Path(tempfile.mkdtemp(prefix="bytemeter-bench-"))
    stack = EmbeddedStack(Home(home))
    try:
        stack.up()
        memory_gib = psutil.virtual_memory().total / 2**30
        print(f"{os.cpu_count()} cores, {memory_gib:.0f} GiB, Python {platform.python_version()}")
        topics = Topics(stack, home, arguments.records, arguments.users)
        if arguments.growth:
            Growth(_session(home), topics, arguments.rounds).measure(arguments.growth, only)
            return
        _measure(arguments, selected, topics)
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    if selected("dashboards"):
        measure_drawing(arguments.rounds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000, help="in each topic")
    parser.add_argument("--users", type=int, default=100_000, help="of devices, and how many agreements there are")
    parser.add_argument("--rounds", type=int, default=3, help="how often each job runs; the first round is cold")
    parser.add_argument("--latency-s", type=int, default=60, help="seconds of measured alerts; 0 to leave it out")
    parser.add_argument("--hour-records", type=int, default=5_000_000, help="in the recomputed hour; 0 to leave it out")
    parser.add_argument("--month-records", type=int, default=20_000_000, help="in the recomputed month; 0 likewise")
    parser.add_argument("--day-records", type=int, default=5_000_000, help="in the compacted day; 0 likewise")
    parser.add_argument("--ids", type=int, default=400_000_000, help="at a start, 20 GB of disk; 0 likewise")
    parser.add_argument(
        "--single-s", type=int, default=60, help="seconds of requests to the collector, and to the usage API"
    )
    parser.add_argument(
        "--soak-s", type=int, default=600, help="seconds of load for the collector's memory; 0 likewise"
    )
    parser.add_argument("--long-lines", type=int, default=10_000_000, help="of a long file to import; 0 likewise")
    parser.add_argument("--only", nargs="*", metavar="PART", help="measure only what has one of these in its name")
    parser.add_argument("--peer", choices=["flink"], help="another system that runs the streaming jobs, after ours")
    parser.add_argument(
        "--growth", type=Path, metavar="FILE",
        help="measure only growth, and draw it into this file; --only then selects ids, agreements, periods, files",
    )  # fmt: skip
    return parser


def _measure(arguments: argparse.Namespace, selected: Selected, topics: Topics) -> None:
    """Measure everything that needs the stack, but growth."""
    # The start of a process is measured before Spark takes memory here.
    if selected("start"):
        measure_start(topics)
    _measure_servers(arguments, selected, topics)
    if selected("importer"):
        measure_importer(topics, arguments.rounds, arguments.long_lines)
    if selected("ids within the horizon") and arguments.ids:
        measure_identities(topics, arguments.ids)
    if selected("message shapes"):
        measure_parsing()
    with bucket(topics.home) as in_bucket:
        session = _session(topics.home, gcs=in_bucket is not None)
        _measure_streaming(arguments, selected, StreamingJobs(session, topics, in_bucket), topics)
    if selected("message shapes"):
        measure_shapes(session, topics, arguments.rounds)
    if selected("telemetry"):
        measure_telemetry(session, topics, arguments.rounds)
    if selected("simulator"):
        measure_simulator(topics, arguments.rounds)
    if selected("alert latency") and arguments.latency_s:
        measure_latency(session, topics.place("latency."), topics.users, arguments.latency_s)
    recompute = Recompute(session, topics, arguments.rounds)
    if selected("hourly recompute") and arguments.hour_records:
        recompute.hourly(arguments.hour_records)
    if selected("monthly recompute") and arguments.month_records:
        recompute.monthly(arguments.month_records)
    if selected("compaction") and arguments.day_records:
        measure_compaction(session, topics, arguments.day_records)
    session.stop()
    if selected("charts"):
        measure_charts(database(topics.place("charts.").require_database_url()))


def _measure_servers(arguments: argparse.Namespace, selected: Selected, topics: Topics) -> None:
    if selected("collector"):
        measure_collector(topics, arguments.rounds, arguments.single_s)
    if selected("collector memory") and arguments.soak_s:
        measure_memory(topics, arguments.soak_s)
    if selected("usage api"):
        measure_usage_api(topics, arguments.single_s)


def _measure_streaming(
    arguments: argparse.Namespace, selected: Selected, streaming: StreamingJobs, topics: Topics
) -> None:
    """Measure the selected streaming jobs with the bare reads, then another system's."""
    ours, bare = ([job for job in jobs if selected(job.name)] for jobs in (streaming.ours(), streaming.bare_reads()))
    flink = [name for name in FLINK_JOBS if arguments.peer and selected(name)]
    if not (ours or bare or flink):
        return
    sent = streaming.fill()
    throughput = Throughput(topics, arguments.rounds)
    throughput.measure([*streaming.bare_reads(), *ours], streaming.places)
    if flink:
        with flink_sql(streaming.plain, streaming.plans, sent) as jobs:
            throughput.measure([job for job in jobs if job.name in flink], streaming.places)
    throughput.print()


def _session(home: Path, *, gcs: bool = False) -> SparkSession:
    return local_session("bytemeter-bench", logs=home / "logs", gcs=gcs)


if __name__ == "__main__":
    main()
