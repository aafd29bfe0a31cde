"""``make bench``: the streaming queries against a bare read of the same topic, alert latency, the recomputes against
DuckDB, the charts' queries, the dashboards in a browser, and the simulator against a producer of ready messages.

Everything runs on this machine, the broker and PostgreSQL beside Spark, in a stack of its own that is removed at the
end. The first round is cold (Spark has compiled nothing yet), the later ones are warm.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
from pathlib import Path

import psutil

from benchmarks.charts import measure_charts
from benchmarks.drawing import measure_drawing
from benchmarks.flink.peer import flink_jobs
from benchmarks.growth import Growth
from benchmarks.latency import measure_latency
from benchmarks.recompute import Recompute
from benchmarks.simulated import measure_simulator
from benchmarks.throughput import Throughput
from benchmarks.topics import Topics
from bytemeter import logs
from bytemeter.postgres import database
from bytemeter.spark import local_session
from embedded.home import Home
from embedded.stack import EmbeddedStack


def main() -> None:
    """Fill the topics, then time each job on them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=2_000_000)
    parser.add_argument("--users", type=int, default=100_000, help="devices' users, and agreements")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency-s", type=int, default=60, help="how long to measure latency; 0 not at all")
    parser.add_argument("--hour-records", type=int, default=5_000_000, help="in the hour recomputed; 0 not at all")
    parser.add_argument("--month-records", type=int, default=20_000_000, help="in the month recomputed; 0 not at all")
    parser.add_argument("--only", nargs="*", help="parts of the names of what to run; all by default")
    parser.add_argument("--peer", choices=["flink"], help="run the streaming queries on it too, after ours")
    parser.add_argument("--growth", type=Path, help="measure growth only, and draw it into this file")
    given = parser.parse_args()
    logs.configure(quiet=True)
    home = Path(tempfile.mkdtemp(prefix="bytemeter-bench-"))
    stack = EmbeddedStack(Home(home))
    try:
        stack.up()
        memory = psutil.virtual_memory().total / 2**30
        print(f"{os.cpu_count()} cores, {memory:.0f} GiB, Python {platform.python_version()}")
        topics = Topics(stack, home, given.records, given.users)
        session = local_session("bytemeter-bench", logs=home / "logs")
        if given.growth:
            Growth(session, topics, given.rounds).measure(given.growth, given.only or [""])
            return
        throughput = Throughput(session, topics, given.rounds, given.only or [""])
        throughput.measure(peer=bool(given.peer))
        if given.peer:
            with flink_jobs(topics.place("plain."), topics.place("plans.")) as jobs:
                throughput.measure_peer("Flink SQL", jobs)
        throughput.print()
        if not given.only or "simulator" in given.only:
            measure_simulator(topics, given.rounds)
        if given.latency_s:
            measure_latency(session, topics.place("latency."), given.users, given.latency_s)
        recompute = Recompute(session, given.hour_records, given.month_records, given.users, given.rounds)
        if given.hour_records:
            recompute.hourly(topics.place("hourly."))
        if given.month_records:
            recompute.monthly(topics.place("monthly."))
        session.stop()
        if not given.only or "charts" in given.only:
            measure_charts(database(topics.place("charts.").require_database_url()))
    finally:
        stack.down()
        shutil.rmtree(home, ignore_errors=True)
    if not given.only or "dashboards" in given.only:
        measure_drawing(given.rounds)


if __name__ == "__main__":
    main()
