"""Keeps one query going beside the others: it is started again after an outage, until it is to end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bytemeter.errors import BytemeterError, TransientError, first_line
from bytemeter.logs import logger
from bytemeter.spark_errors import explained
from speed_layer.engine.running import RunningQuery

_POLL_S = 0.2
# A query that reads what is there ends soon: its end, and its first micro-batch, are not to be missed for long.
_POLL_ONCE_S = 0.03
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_LOG_EVERY_S = 60.0


@dataclass
class Outage:
    """How long a query has waited for a server. A line is logged at once, then one a minute; pauses grow to 30 s.

    Attributes:
        clock: monotonic time in seconds.
    """

    query: str
    clock: Callable[[], float] = time.monotonic
    _since: float | None = field(default=None, init=False)
    _logged_at: float = field(default=0.0, init=False)
    _pause_s: float = field(default=_FIRST_PAUSE_S, init=False)

    def next_pause(self, reason: str) -> float:
        """Note that a start or a run has failed; returns for how many seconds to wait."""
        now, pause_s = self.clock(), self._pause_s
        since = now if self._since is None else self._since
        if self._since is None or now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            logger().warning("waiting", query=self.query, reason=reason, waited_s=round(now - since))
        self._since, self._pause_s = since, min(2 * pause_s, _LONGEST_PAUSE_S)
        return pause_s

    def note_running(self, *, for_s: float) -> None:
        """Note that the query has run for so long without an error: after half a minute the outage is over."""
        if self._since is not None and for_s > _LONGEST_PAUSE_S:
            logger().info("back", query=self.query)
            self._since, self._pause_s = None, _FIRST_PAUSE_S


@dataclass
class Supervised:
    """A query from its first start to its end.

    Attributes:
        name: of the query.
        start: starts it; closing the stack ends it and gives everything back.
        ending: set when all queries are to end, after their running micro-batches.
        once: the query ends when it has read the messages that the topics had at the start.
        begun: set once its first micro-batch was read, or it has ended.
    """

    name: str
    start: Callable[[ExitStack], RunningQuery]
    ending: threading.Event
    once: bool
    begun: threading.Event = field(default_factory=threading.Event, init=False)
    _has_run: bool = field(default=False, init=False)

    def run(self) -> None:
        """Run until it is to end. An outage is waited out: the query is started again, from the offsets of its sink.

        Raises:
            BytemeterError: a restart cannot help.
            TransientError: a server cannot be reached at the first start, or with ``once``.
        """
        outage = Outage(self.name)
        try:
            while not self.ending.is_set() and (lost := self._run_until_lost(outage)):
                self.ending.wait(outage.next_pause(str(lost)))
        except Exception as error:
            # A process that is ended from outside may lose Spark's workers, or a server, before its queries end; and
            # what ends one query, such as a server that was never there, ends the others, too.
            if not self.ending.is_set():
                raise
            logger().debug("not ended in order", query=self.name, reason=first_line(error))
        finally:
            self.begun.set()

    def _run_until_lost(self, outage: Outage) -> TransientError | None:
        """Start the query and run it to its end; the outage that ended it earlier, if a restart may mend it."""
        try:
            with self._explained_errors(), ExitStack() as resources:
                query = self.start(resources)
                self._has_run = True
                self._watch(query, outage)
        except TransientError as error:
            if self.once or not self._has_run:
                raise
            return error
        return None

    @contextmanager
    def _explained_errors(self) -> Iterator[None]:
        try:
            yield
        except BytemeterError:
            raise
        except Exception as error:
            known = explained(error, f"the query {self.name}")
            if known is None:
                raise
            raise known from error

    def _watch(self, query: RunningQuery, outage: Outage) -> None:
        began, poll_s = time.monotonic(), _POLL_ONCE_S if self.once else _POLL_S
        while query.is_active() and not self.ending.wait(poll_s):
            query.raise_error()
            if query.has_begun():
                self.begun.set()
            if not self.once:
                query.check_progress_if_due()
            outage.note_running(for_s=time.monotonic() - began)
        query.raise_error()
        if self.once and not self.ending.is_set():
            query.check_progress_until_done()
