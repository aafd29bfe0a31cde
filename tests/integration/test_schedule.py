"""The scheduler on a real PostgreSQL, by an injected clock; one killed in the middle of a run; and a line of cron."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from batch_layer.schedule.declared import SCHEDULED
from batch_layer.schedule.due import Next
from batch_layer.schedule.listing import listed
from batch_layer.schedule.scheduler import Scheduler
from batch_layer.schedule.store import schedule_store
from bytemeter.errors import BytemeterError
from bytemeter.leases.lease import HeldError, Terms
from bytemeter.runs.recording import Task, recorded
from bytemeter.settings import Settings
from cli.commands.schedule import job_environment
from embedded.home import Home
from embedded.stack import EmbeddedStack
from simulator.traffic import Sent

Rows = Callable[..., list[tuple[Any, ...]]]
HOURLY, DIRTY = SCHEDULED[0], SCHEDULED[1]
DEADLINE_S = 90
OTHERS_OFF = "; ".join(f"{job.name}=off" for job in SCHEDULED if job is not DIRTY)
THIS_HOUR = "select date_trunc('hour', now(), 'UTC')"
RUNS = "select job, outcome, runner from job_runs order by run"


@dataclass
class Runs:
    """Runs jobs at a clock of its own: recorded for real, but without work."""

    settings: Settings
    now: dt.datetime
    failing: bool = False
    started: list[tuple[str, ...]] = field(default_factory=list)

    def start(self, run: Next) -> None:
        self.started.append(run.options)
        with suppress(BytemeterError), self.recorded("hourly", *map(_hour, run.options[1::2])):
            if self.failing:
                raise BytemeterError("no history")

    def recorded(self, job: str, since: dt.datetime, until: dt.datetime, runner: str = "schedule") -> Any:
        task = Task(job, "hourly", ("hourly", "dirty-hours"), since, until)
        return recorded(self.settings, task, runner=runner, clock=lambda: self.now)

    def scheduler(self, engine: Engine) -> Scheduler:
        return Scheduler(engine, self.settings, [HOURLY], self.start, threading.Event(), lambda: self.now)

    def step_at(self, engine: Engine, text: str) -> bool:
        """Let a new scheduler look once at what is due."""
        self.now = _hour(text)
        with schedule_store(engine, self.settings, [HOURLY]) as store:
            return self.scheduler(engine).step(store)


def _hour(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


@pytest.fixture
def runs(as_writer: Settings) -> Runs:
    return Runs(as_writer, _hour("2026-11-21T10:00"))


def test_hours_that_were_missed_while_nothing_ran_are_caught_up(engine: Engine, runs: Runs) -> None:
    assert runs.step_at(engine, "2026-11-21T10:06")
    assert not runs.step_at(engine, "2026-11-21T10:07")
    assert runs.step_at(engine, "2026-11-21T15:30")
    assert not runs.step_at(engine, "2026-11-21T15:31")
    assert runs.started == [
        ("--from", "2026-11-21T09", "--to", "2026-11-21T10"),
        ("--from", "2026-11-21T10", "--to", "2026-11-21T15"),
    ]


def test_a_failed_run_is_tried_again_with_growing_pauses_and_is_listed(engine: Engine, runs: Runs, rows: Rows) -> None:
    runs.failing = True
    tried = [runs.step_at(engine, f"2026-11-21T10:{minute:02}") for minute in range(5, 16)]
    assert [5 + n for n, ran in enumerate(tried) if ran] == [5, 6, 8, 12]
    (row,) = listed(engine, [HOURLY], runs.now)
    assert row[0] == "hourly"
    assert row[4:8] == ("failed (4 times)", row[5], "2026-11-21 10:20:00", "no history")
    runs.failing = False
    assert runs.step_at(engine, "2026-11-21T10:20")
    assert rows("select outcome, failures, told from job_status") == [("done", 0, "")]


def test_a_run_by_hand_is_not_disturbed_and_counts(engine: Engine, runs: Runs, rows: Rows) -> None:
    with runs.recorded("hourly", _hour("2026-11-21T09"), _hour("2026-11-21T10"), "command"):
        assert not runs.step_at(engine, "2026-11-21T10:05")
        # Whoever comes beside it is refused, and leaves no record.
        with pytest.raises(HeldError, match="another hourly job runs"):
            with runs.recorded("dirty-hours", _hour("2026-11-21T09"), _hour("2026-11-21T10")):
                pass
    assert not runs.step_at(engine, "2026-11-21T10:06")
    assert (runs.started, rows(RUNS)) == ([], [("hourly", "done", "command")])


def test_of_two_schedulers_one_works(engine: Engine, runs: Runs) -> None:
    first, second = Terms.of_job(30, "first 1 1 there"), Terms.of_job(30, "second 2 2 there")
    with schedule_store(engine, runs.settings, [HOURLY], first):
        with pytest.raises(HeldError, match="another schedule job runs .process 1 on first"):
            with schedule_store(engine, runs.settings, [HOURLY], second):
                pass
    with schedule_store(engine, runs.settings, [HOURLY], second):
        pass


def test_a_scheduler_that_was_overtaken_starts_nothing(engine: Engine, runs: Runs, rows: Rows) -> None:
    silent = Terms.of_job(3_600, "first 1 1 there")
    with schedule_store(engine, runs.settings, [HOURLY], silent) as store:
        rows("update leases set heard_at = now() - interval '1 day', session = 0 returning 1")
        with schedule_store(engine, runs.settings, [HOURLY], Terms.of_job(30, "second 2 2 there")):
            with pytest.raises(BytemeterError, match="has taken over the schedule job"):
                runs.scheduler(engine).step(store)
    assert runs.started == []


def _program(place: Settings, schedule: str) -> tuple[list[str], dict[str, str]]:
    environment = job_environment(place) | {
        "BYTEMETER_TOPIC_PREFIX": place.topic_prefix,
        "BYTEMETER_SCHEDULE": schedule,
        "BYTEMETER_DRIVER_MEMORY": "512m",
    }
    return [sys.executable, "-m", "cli", "schedule"], environment


def _wait_until(reached: Callable[[], bool], told: Callable[[], str] = str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not reached():
        assert time.monotonic() < deadline, told()
        threading.Event().wait(0.1)


def test_the_next_scheduler_takes_over_from_one_that_was_killed_in_a_run(
    as_writer: Settings, simulate: Callable[..., Sent], stream: Callable[..., None], rows: Rows, tmp_path: Path
) -> None:
    simulate(300, duplicates=0.1)
    stream()
    over = rows(THIS_HOUR)[0][0]
    command, environment = _program(as_writer, f"{OTHERS_OFF}; dirty-hours=* * * * *")
    log = tmp_path / "log"
    with log.open("w") as output:
        killed = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        _wait_until(lambda: rows(RUNS) == [("dirty-hours", "running", "schedule")], log.read_text)
        killed.kill()
        killed.wait()
        successor = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        try:
            _wait_until(lambda: rows(RUNS)[1:] == [("dirty-hours", "done", "schedule")], log.read_text)
        finally:
            successor.send_signal(signal.SIGTERM)
            code = successor.wait(DEADLINE_S)
    assert code == 0, log.read_text()
    assert rows(RUNS)[0] == ("dirty-hours", "ended", "schedule")
    # The hour that was not over at the start may be over by now, and recomputed or not.
    recomputed = "select sum(value) from bytes_hourly where type like 'app%' and timestamp < :over"
    live = "select sum(value) from bytes where type like 'app%' and timestamp < :over"
    assert rows(recomputed, over=over) == rows(live, over=over) != [(None,)]
    assert "Traceback" not in log.read_text()


def test_a_run_over_the_limit_is_ended(
    as_writer: Settings, simulate: Callable[..., Sent], stream: Callable[..., None], rows: Rows, tmp_path: Path
) -> None:
    simulate(100)
    # The recompute waits for the history, which never comes.
    stream(history=False)
    command, environment = _program(as_writer, f"{OTHERS_OFF}; dirty-hours=* * * * *")
    log = tmp_path / "log"
    with log.open("w") as output:
        limited = subprocess.Popen([*command, "--limit", "0.0025"], env=environment, stdout=output, stderr=output)
        _wait_until(lambda: ("dirty-hours", "ended", "schedule") in rows(RUNS), log.read_text)
        limited.send_signal(signal.SIGTERM)
        assert limited.wait(DEADLINE_S) == 0, log.read_text()
    assert rows("select told from job_runs order by run limit 1") == [("ended by SIGTERM",)]
    assert "ending a run that takes too long job=dirty-hours limit_s=9.0" in log.read_text()
    assert "Traceback" not in log.read_text()


def test_the_scheduler_waits_for_postgresql_and_goes_on(
    engine: Engine, runs: Runs, servers: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    _, database = EmbeddedStack(Home(servers.home)).servers
    looks, told = itertools.count(1), []
    scheduler = runs.scheduler(engine)
    scheduler.poll_s = 0.02
    scheduler.clock = lambda: next(looks) and runs.now

    def waits() -> int:
        told.append(capsys.readouterr().err)
        return "".join(told).count("] waiting")

    runs.now = _hour("2026-11-21T10:06")
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(scheduler.run)
        try:
            _wait_until(lambda: len(runs.started) == 1)
            database.stop()
            _wait_until(lambda: waits() == 1)
            seen = next(looks)
            _wait_until(lambda: next(looks) > seen + 20)
            assert waits() == 1
            runs.now += dt.timedelta(minutes=1)
            _wait_until(lambda: waits() == 2)
            database.start()
            runs.now = _hour("2026-11-21T11:06")
            _wait_until(lambda: len(runs.started) == 2)
        finally:
            scheduler.stop.set()
            if not database.running():
                database.start()
        running.result()
    assert waits() == 2
    assert "standing by" not in "".join(told)


def test_the_line_of_cron_runs_in_its_poor_environment(
    as_writer: Settings, simulate: Callable[..., Sent], stream: Callable[..., None], rows: Rows, tmp_path: Path
) -> None:
    simulate(200)
    stream()
    over = rows(THIS_HOUR)[0][0]
    found = re.search(r"^\*/20 \* \* \* \* (.+)$", Path("docs/scheduling.md").read_text(), re.MULTILINE)
    assert found is not None
    variables, names = tmp_path / "bytemeter.env", ("HOME", "KAFKA", "HISTORY", "DATABASE_URL")
    known = job_environment(as_writer)
    variables.write_text("".join(f"export BYTEMETER_{name}='{known[f'BYTEMETER_{name}']}'\n" for name in names))
    line = found.group(1).replace("/etc/bytemeter.env", str(variables)).replace("/opt/bytemeter", str(Path.cwd()))
    poor = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "HOME": str(Path.home()), "LOGNAME": "cron"}
    java = {name: os.environ[name] for name in ("JAVA_HOME",) if name in os.environ}
    done = subprocess.run(
        ["/bin/sh", "-c", line], env=poor | java, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert rows(RUNS) == [("dirty-hours", "done", "command")]
    assert rows("select count(*) from hours where dirty and hour < :over", over=over) == [(0,)]
