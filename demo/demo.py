"""The demo: the whole platform on this machine with simulated traffic, from an empty home to figures on the screen."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

from pyspark.sql import SparkSession
from rich.console import Console
from sqlalchemy import Engine

from bytemeter import logs
from bytemeter.ending import EndingSignals, until_signal
from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS
from bytemeter.jars import spark_jars
from bytemeter.kafka import Kafka
from bytemeter.postgres import database
from bytemeter.prepare import prepare
from bytemeter.settings import Settings
from bytemeter.spark import local_session
from bytemeter.web.server import Address
from demo.display import Display
from demo.feeding import Feeding
from demo.figures import Rate, read_figures
from demo.players import Players
from demo.recomputing import Recomputing
from demo.screen import panels
from demo.tail import Tail
from embedded.dashboards import serve_dashboards, stop_dashboards
from embedded.home import HOST, Home, listens
from embedded.stack import endpoints
from embedded.superset import SupersetServer
from serving.api.server import serve as serve_api
from simulator.users import provision
from speed_layer.stream import Streams

_PARTS = 11
# That of `bytemeter api`; another one where it is taken.
_API_PORT = 8_000
_REFRESH_S = 1.0
_FIRST_RECOMPUTE_S = 10.0
_FIRST_FIGURES_S = 120.0
# Micro-batches without a pause would take all of a small machine, and leave the dashboards little.
_INTERVALS = {"live_interval_s": 1.0, "history_interval_s": 30.0}


def seconds(text: str) -> float:
    """The seconds of a duration such as ``60s``, ``5m``, ``1h`` or ``60``.

    Raises:
        BytemeterError: the text is not a duration.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)(s|m|h)?", text)
    if match is None:
        raise BytemeterError(f"{text!r} is not a duration; give e.g. 60s, 5m or 1h")
    return float(match.group(1)) * {"s": 1, "m": 60, "h": 3600, None: 1}[match.group(2)]


@dataclass
class Demo:
    """Simulated phones, subscribers, players and apps, all queries and the hourly job.

    Attributes:
        rate: records of ``devices`` a second.
        seconds: how long figures are shown; None until Ctrl-C.
        dashboards: whether Superset is started, once there are figures.
    """

    settings: Settings
    rate: float = 100.0
    seed: int = 7
    seconds: float | None = None
    dashboards: bool = True
    display: Display = field(default_factory=lambda: Display(Console()))
    _stop: threading.Event = field(default_factory=threading.Event)
    _figures: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Run all parts and show the figures; at the end stop all that was started. The data stay.

        Raises:
            BytemeterError: a part could not be started, or failed.
        """
        logs.configure(self.settings.log_format, quiet=True)
        with until_signal() as signals, ExitStack() as resources:
            self._stop = signals.stop
            try:
                self._run(resources, signals)
            finally:
                # All that follows is clean-up, which no signal interrupts any more.
                self._stop.set()
        self._notify("stopped; the data stay. Look again: bytemeter psql -c 'select * from usage_hourly'")

    def _run(self, resources: ExitStack, signals: EndingSignals) -> None:
        """Run all parts until the end; what has to be stopped then is left to ``resources``."""
        began = time.monotonic()
        pool = resources.enter_context(ThreadPoolExecutor(_PARTS))
        with self.display.console.status("starting Spark, Kafka and PostgreSQL (at first also fetching their jars)"):
            # Fetched here, where a signal interrupts it, and not in a thread.
            spark_jars()
            session = pool.submit(self._session)
            ready = resources.enter_context(
                endpoints(self.settings, "kafka", "database_url", "history", notify=self._notify)
            )
            ready = ready.model_copy(update=_INTERVALS)
            prepare(ready)
            provision(database(ready.require_database_url()))
            resources.callback(session.result().stop)
        self._notify(f"Kafka {ready.kafka}, PostgreSQL and Spark are up after {time.monotonic() - began:.0f} s")
        with signals.deferred():
            tail = Tail(Kafka(ready))
            parts = self._parts(session.result(), ready, tail)
            running = [pool.submit(self._unless_stopped, part) for part in parts]
            resources.callback(wait, running)
            self._watch(database(ready.require_database_url()), tail, began)
            self._stop.set()
            for part in running:
                part.result()

    def _session(self) -> SparkSession:
        logs, memory = Home(self.settings.home).folder("logs"), self.settings.driver_memory
        return local_session("bytemeter-demo", logs=logs, memory=memory, background=True)

    def _parts(self, session: SparkSession, ready: Settings, tail: Tail) -> list[Callable[[], None]]:
        fill = not read_figures(database(ready.require_database_url())).account
        feeding = Feeding(ready, self.rate, self.seed, fill, self._stop)
        players = Players(ready, self.seed, fill, self._stop, self._notify, self.display.places)
        return [
            Streams(session, ready, list(FEEDS.values()), stop=self._stop).run,
            feeding.devices,
            feeding.plans,
            lambda: self._once_there_are_figures(feeding.billing),
            lambda: self._once_there_are_figures(feeding.apps),
            players.serve,
            players.play,
            lambda: tail.follow(self._stop),
            lambda: self._recompute(session, ready),
            lambda: self._serve_api(ready),
            *([lambda: self._serve_dashboards(ready)] if self.dashboards else []),
        ]

    def _unless_stopped(self, part: Callable[[], None]) -> None:
        """Run a part of the demo; if it fails, stop the demo."""
        try:
            part()
        except BaseException:
            self._stop.set()
            raise

    def _recompute(self, session: SparkSession, ready: Settings) -> None:
        """Recompute, once what was sent of the past is mostly counted."""
        if self._wait_for_figures() and not self._stop.wait(_FIRST_RECOMPUTE_S):
            Recomputing(session, ready, self._stop).run()

    def _once_there_are_figures(self, feed: Callable[[], None]) -> None:
        """Send further records once there are figures: until then phones have the machine."""
        if self._wait_for_figures():
            feed()

    def _wait_for_figures(self) -> bool:
        """Wait until the first figures are shown; False if the demo ends before."""
        while not self._figures.wait(_REFRESH_S):
            if self._stop.is_set():
                return False
        return True

    def _serve_api(self, ready: Settings) -> None:
        """Serve the usage API and its page; without them, if that fails, the demo goes on."""
        address = Address(HOST, 0 if listens(_API_PORT) else _API_PORT)
        try:
            serve_api(ready, address, self._stop, self._tell_page)
        except BytemeterError as error:
            self._notify(f"no usage API: {error}")

    def _tell_page(self, url: str) -> None:
        self.display.places["a page"] = f"{url}, live figures in a browser"
        self._notify(f"live figures in a browser: {url}")

    def _serve_dashboards(self, ready: Settings) -> None:
        """Serve the dashboards once there are figures; without them, if Superset fails, the demo goes on."""
        home, progress = Home(self.settings.home), partial(self.display.progress, "dashboards")
        superset = SupersetServer(home, progress, unless_stopped=self._require_running)
        was_running = superset.running()
        self.display.places["dashboards"] = "once there are figures"
        if not self._wait_for_figures():
            return
        self.display.places["dashboards"] = "Superset is starting, which takes a minute"
        try:
            running = serve_dashboards(superset, ready, demo=True)
            self.display.places["dashboards"] = f"{running.url} (user {running.user}, password {running.password})"
            self._notify(f"dashboards: {self.display.places['dashboards']}")
            self._stop.wait()
        except BytemeterError as error:
            if not self._stop.is_set():
                self.display.places["dashboards"] = "none, see above"
                self._notify(f"no dashboards: {error}")
        finally:
            if not was_running:
                stop_dashboards(superset, ready)

    def _require_running(self) -> None:
        if self._stop.is_set():
            raise BytemeterError("the demo was stopped")

    def _watch(self, engine: Engine, tail: Tail, began: float) -> None:
        """Show the figures as they grow."""
        shown, end, first = Rate(), None, time.monotonic() + _FIRST_FIGURES_S
        with self.display.drawing():
            while not self._stop.is_set():
                figures = read_figures(engine)
                self.display.draw(panels(figures, list(tail.received), shown.of(figures)))
                if figures.there and end is None:
                    self._notify(f"first figures after {time.monotonic() - began:.0f} s; Ctrl-C ends")
                    end = time.monotonic() + (self.seconds or float("inf"))
                    self._figures.set()
                if end is None and time.monotonic() > first:
                    raise BytemeterError(
                        f"no figures after {_FIRST_FIGURES_S:.0f} s; see the logs in {self.settings.home}/logs"
                    )
                if end is not None and time.monotonic() > end:
                    break
                self._stop.wait(_REFRESH_S)

    def _notify(self, message: str) -> None:
        self.display.tell(message)
