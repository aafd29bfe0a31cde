"""Times jobs over whole topics, and prints their records/s with ratios to other jobs of the same run."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import median

from benchmarks.state import clear, java_memory_gib
from benchmarks.topics import Topics
from bytemeter.settings import Settings


@dataclass(frozen=True)
class Job:
    """A job over a whole topic.

    Attributes:
        name: as it is printed, and as ``--only`` selects it.
        run: runs the job; returns the seconds that it took, or None if the caller measures them.
        baseline: the name of the job to whose rate the table compares this one.
        ours: of another system's job, the name of our job that does the same.
    """

    name: str
    run: Callable[[], float | None]
    baseline: str
    ours: str | None = None


@dataclass
class Throughput:
    """Times jobs in turn, round by round; the first round is cold.

    A job has the machine to itself, with Kafka and PostgreSQL.

    Attributes:
        rounds: how often each job runs.
    """

    topics: Topics
    rounds: int
    _jobs: list[Job] = field(default_factory=list, init=False)
    _rates: dict[str, list[float]] = field(default_factory=dict, init=False)
    _java_gib: float = field(default=0.0, init=False)

    def measure(self, jobs: Sequence[Job], places: Sequence[Settings]) -> None:
        """Run jobs.

        Args:
            places: the places that the jobs write to; what they hold is removed before each job.
        """
        self._jobs += jobs
        for _ in range(self.rounds):
            for job in jobs:
                clear(*places)
                began = time.perf_counter()
                seconds = job.run() or time.perf_counter() - began
                self._rates.setdefault(job.name, []).append(self.topics.records / seconds)
                self._java_gib = max(self._java_gib, java_memory_gib())

    def print(self) -> None:
        """Print the rates and ratios of all jobs that were measured, if there are any."""
        if not self._jobs:
            return
        print(f"\n{self.topics.records:,} records, {self.topics.users:,} users and agreements, {self.rounds} rounds; "
              "ratios of the warm medians")  # fmt: skip
        print(f"{'job':<54}{'cold':>11}{'best, warm':>14}{'median, warm':>14}{'ratio':>8}  to")
        for job in self._jobs:
            cold, best = self._rates[job.name][0], max(self._warm(job.name))
            rates = f"{cold:>9,.0f}/s{best:>12,.0f}/s{self._median(job.name):>12,.0f}/s"
            print(f"{job.name:<54}{rates}{self._ratio(job.name, job.baseline)}")
        for job in self._jobs:
            if job.ours in self._rates:
                ratio = self._median(job.ours) / self._median(job.name)
                print(f"{job.ours}: {ratio:.2f} times the rate of {job.name}")
        print(f"resident memory of Spark's JVM: at most {self._java_gib:.1f} GiB", flush=True)

    def _ratio(self, name: str, baseline: str) -> str:
        if name == baseline or baseline not in self._rates:
            return ""
        return f"{self._median(name) / self._median(baseline):>8.2f}  {baseline}"

    def _median(self, name: str) -> float:
        return median(self._warm(name))

    def _warm(self, name: str) -> list[float]:
        """The rates of the warm rounds; of the cold one if there is no other."""
        return self._rates[name][1:] or self._rates[name]
