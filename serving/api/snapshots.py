"""Questions to PostgreSQL: each in a transaction of its own that reads, and sees the database at one moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.logs import logger
from bytemeter.postgres import database, one_line_errors
from bytemeter.web.problems import Problem, try_later

_TIMED_OUT = "57014"
_RETRY_AFTER_S = 2
# So many questions may wait for each connection.
_WAITING_PER_CONNECTION = 50
Answer = TypeVar("Answer")
Question = Callable[[Connection], Answer]


class Snapshots:
    """A pool of connections, a thread for each."""

    def __init__(self, url: URL, connections: int, timeout_s: int) -> None:
        """Connect when first asked.

        Args:
            timeout_s: the most seconds of a statement, and of connecting.
        """
        self._timeout_s = timeout_s
        self._engine = database(url.render_as_string(hide_password=False), patience_s=timeout_s, pool=connections)
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._pool = ThreadPoolExecutor(connections, "snapshot")
        self._most_waiting, self._waiting = connections * _WAITING_PER_CONNECTION, 0

    @property
    def waiting(self) -> int:
        """Questions that were not answered yet."""
        return self._waiting

    async def ask(self, question: Question[Answer]) -> Answer:
        """The answer to a question.

        Raises:
            Problem: 503 if PostgreSQL is away, has no room, or takes too long.
        """
        if self._waiting >= self._most_waiting:
            raise try_later(503, f"{self._waiting} questions wait for PostgreSQL; repeat the request", _RETRY_AFTER_S)
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, self.asked, question)
        except BytemeterError as error:
            raise self._problem(error) from error
        finally:
            self._waiting -= 1

    def asked(self, question: Question[Answer]) -> Answer:
        """The answer, in this thread.

        Raises:
            TransientError: PostgreSQL is away, has no room, or took too long.
            BytemeterError: it refuses the login, or lacks what the question is about.
        """
        try:
            return self._once(question)
        except TransientError as error:
            if _timed_out(error):
                raise
        # The first question after a restart of the server meets connections that are gone; the next one has a new one.
        return self._once(question)

    def close(self) -> None:
        """End all connections."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._engine.dispose()

    def _once(self, question: Question[Answer]) -> Answer:
        with one_line_errors(self._engine.url), self._reading.connect() as connection:
            return question(connection)

    def _problem(self, error: BytemeterError) -> Problem:
        if isinstance(error, TransientError) and _timed_out(error):
            detail = f"PostgreSQL took over {self._timeout_s} s; ask about less, such as a shorter time or one id"
            return try_later(503, detail, _RETRY_AFTER_S)
        logger().warning("PostgreSQL gave no answer", error=str(error))
        return try_later(503, "PostgreSQL cannot answer now; repeat the request", _RETRY_AFTER_S)


def _timed_out(error: TransientError) -> bool:
    return getattr(getattr(error.__cause__, "orig", None), "pgcode", None) == _TIMED_OUT
