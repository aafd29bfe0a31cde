"""Questions to PostgreSQL: each sees the database at one moment, by one statement or in a transaction that reads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy.engine import URL

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.logs import logger
from bytemeter.postgres import database, one_line_errors
from bytemeter.web.problems import Problem, try_later
from serving.api.reading import Reading, SeveralStatementsError

_TIMED_OUT = "57014"
_RETRY_AFTER_S = 2
# So many questions may wait for each connection.
_WAITING_PER_CONNECTION = 50
Answer = TypeVar("Answer")
Question = Callable[[Reading], Answer]


class Snapshots:
    """A pool of connections, a thread for each."""

    def __init__(self, url: URL, connections: int, timeout_s: int) -> None:
        """Connect when first asked.

        Args:
            timeout_s: the most seconds of a statement, and of connecting.
        """
        self._timeout_s = timeout_s
        self._engine = database(url.render_as_string(hide_password=False), patience_s=timeout_s, pool=connections)
        # The login itself can write nothing.
        self._alone = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._reading = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        self._pool = ThreadPoolExecutor(connections, "snapshot")
        self._away = False
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
            answer = await asyncio.get_running_loop().run_in_executor(self._pool, self.asked, question)
        except BytemeterError as error:
            raise self._problem(error) from error
        else:
            self._away = False
            return answer
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
        with one_line_errors(self._engine.url):
            try:
                with self._alone.connect() as connection:
                    return question(Reading(connection, transaction=False))
            except SeveralStatementsError:
                with self._reading.connect() as connection:
                    return question(Reading(connection, transaction=True))

    def _problem(self, error: BytemeterError) -> Problem:
        if isinstance(error, TransientError) and _timed_out(error):
            detail = f"PostgreSQL took over {self._timeout_s} s; ask about less, such as a shorter time or one id"
            return try_later(503, detail, _RETRY_AFTER_S)
        if not self._away:
            logger().warning("PostgreSQL gives no answers", error=str(error))
        self._away = True
        return try_later(503, "PostgreSQL cannot answer now; repeat the request", _RETRY_AFTER_S)


def _timed_out(error: TransientError) -> bool:
    return getattr(getattr(error.__cause__, "orig", None), "pgcode", None) == _TIMED_OUT
