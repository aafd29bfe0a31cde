"""The scheduler: runs the jobs that are due, one at a time, as long as it holds its lease."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Engine

from batch_layer.schedule.declared import Scheduled
from batch_layer.schedule.due import Next
from batch_layer.schedule.store import ScheduleStore, schedule_store
from bytemeter.errors import TransientError
from bytemeter.leases.lease import HeldError, Terms
from bytemeter.logs import logger
from bytemeter.settings import Settings

# Runs a job to its end. The run records itself: how it ended is read from there.
Start = Callable[[Next], None]

_POLL_S = 10.0
# After a run that could not even record its beginning.
_FIRST_PAUSE, _LONGEST_PAUSE = dt.timedelta(minutes=1), dt.timedelta(hours=1)
_TOLD_AGAIN = dt.timedelta(minutes=1)


@dataclass
class Scheduler:
    """Starts each job when it is due.

    Delivery: a run that fails, or is killed, is started again until one is done; each of them is idempotent. While
    another run of any job goes on, whoever started it, none is started. Of several schedulers one works, the others
    stand by.

    Attributes:
        start: runs a job.
        stop: set it, from another thread or a signal handler, to end; ``start`` has to watch it, too.
        clock: the present instant, in UTC.
        poll_s: the most seconds between two looks at what is due.
        terms: of the scheduler's lease; by default those of this process.
    """

    engine: Engine
    settings: Settings
    jobs: Sequence[Scheduled]
    start: Start
    stop: threading.Event
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    poll_s: float = _POLL_S
    terms: Terms | None = None
    _refused: dict[str, tuple[int, dt.datetime]] = field(default_factory=dict, init=False)
    _told: str = field(default="", init=False)
    _told_at: dt.datetime = field(default=dt.datetime.min.replace(tzinfo=dt.UTC), init=False)

    def run(self) -> None:
        """Run until stopped. While PostgreSQL is away, or another scheduler works, it waits.

        Raises:
            BytemeterError: another scheduler has taken over since this one was silent; or tables are missing.
        """
        while not self.stop.is_set():
            try:
                with schedule_store(self.engine, self.settings, self.jobs, self.terms) as store:
                    self._tell("scheduling", jobs=[job.name for job in self.jobs])
                    while not self.stop.is_set():
                        if not self.step(store):
                            self.stop.wait(self.poll_s)
            except HeldError as error:
                self._tell("standing by", reason=str(error))
            except TransientError as error:
                self._tell("waiting", again=_TOLD_AGAIN, reason=str(error))
            self.stop.wait(self.poll_s)

    def step(self, store: ScheduleStore) -> bool:
        """Run the first job that is due, if any, and if no other job runs; returns whether it did."""
        now = self.clock()
        busy = store.is_busy(now)
        due = [run for run in store.next_runs(now) if run.at <= now and self._may_try(run, now)]
        if busy or not due:
            return False
        self._run(store, due[0])
        return True

    def _run(self, store: ScheduleStore, run: Next) -> None:
        name, before = run.job.name, store.latest_run(run.job)
        logger().info("starting", job=name, due=run.at.isoformat(), options=list(run.options))
        self.start(run)
        if self.stop.is_set() or store.latest_run(run.job) > before:
            self._refused.pop(name, None)
            return
        # It left no record: it could not begin, for example since a setting is wrong, or another run was faster.
        times = self._refused.get(name, (0, self.clock()))[0] + 1
        pause = min(_FIRST_PAUSE * 2 ** min(times - 1, 10), _LONGEST_PAUSE)
        self._refused[name] = (times, self.clock() + pause)
        logger().warning("not begun", job=name, again_in_s=pause.total_seconds())

    def _may_try(self, run: Next, now: dt.datetime) -> bool:
        return run.job.name not in self._refused or self._refused[run.job.name][1] <= now

    def _tell(self, what: str, again: dt.timedelta | None = None, **details: object) -> None:
        """Log a change of what the scheduler does: once, or again after a time."""
        now = self.clock()
        if self._told != what or (again is not None and now - self._told_at >= again):
            self._told, self._told_at = what, now
            logger().info(what, **details)
