"""The demo's recomputes: dirty hours again and again; once the running month, so that there are invoices to see."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from batch_layer.jobs import monthly_usage
from batch_layer.schedule.declared import SCHEDULED
from batch_layer.schedule.due import Next
from batch_layer.schedule.scheduler import Scheduler
from batch_layer.schedule.timing import Cron
from bytemeter.job import Job, JobContext, one_line
from bytemeter.logs import logger
from bytemeter.postgres import database
from bytemeter.settings import Settings

# Not often, since each takes all of a small machine for seconds.
_DIRTY_HOURS = Cron("*/2 * * * *")


@dataclass
class Recomputing:
    """Recomputes in the demo's own Spark session, since a small machine has no memory for a second one.

    Attributes:
        stop: set from another thread to end.
    """

    session: SparkSession
    settings: Settings
    stop: threading.Event
    _billed: bool = False

    def run(self) -> None:
        """Recompute the dirty hours that are over, again and again: late records make hours dirty again."""
        jobs = [replace(job, cron=_DIRTY_HOURS) for job in SCHEDULED if job.name == "dirty-hours"]
        Scheduler(database(self.settings.require_database_url()), self.settings, jobs, self._start, self.stop).run()

    def _start(self, run: Next) -> None:
        self._run(run.job.job, "--dirty", "--over")
        if not self._billed and not self.stop.is_set():
            self._billed = True
            self._run(monthly_usage.JOB, "--month", f"{run.at:%Y-%m}")

    def _run(self, job: Job, *options: str) -> None:
        spark: Future[SparkSession] = Future()
        spark.set_result(self.session)
        runner = JobContext(
            lambda *_: nullcontext(self.settings), lambda _: nullcontext(spark), "schedule", cancel=self.stop
        )
        try:
            job.run(runner, **job.values(*options))
        except KeyboardInterrupt:
            return
        except Exception as error:
            logger().warning("recompute failed", job=job.name, reason=one_line(error))
