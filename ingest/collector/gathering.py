"""Small requests that arrive within a few milliseconds are taken together: judging one event costs as much as fifty."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from ingest.collector.results import Result

_WINDOW_S = 0.003

Take = Callable[[Sequence[Sequence[bytes]]], Awaitable[list[list[Result]]]]


class Gathering:
    """Requests for one destination that wait to be taken together."""

    def __init__(self, take: Take) -> None:
        """Gather.

        Args:
            take: takes the events of several requests; returns the results of each.
        """
        self._take = take
        self._waiting: list[tuple[Sequence[bytes], asyncio.Future[list[Result]]]] = []
        self._taking: set[asyncio.Task[None]] = set()

    async def results(self, values: Sequence[bytes]) -> list[Result]:
        """The results of a request's events, once they were taken with those of others."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Result]] = loop.create_future()
        if not self._waiting:
            loop.call_later(_WINDOW_S, self._start)
        self._waiting.append((values, found))
        return await found

    def _start(self) -> None:
        requests, self._waiting = self._waiting, []
        task = asyncio.create_task(self._take_together(requests))
        self._taking.add(task)
        task.add_done_callback(self._taking.discard)

    async def _take_together(self, requests: list[tuple[Sequence[bytes], asyncio.Future[list[Result]]]]) -> None:
        try:
            results = await self._take([values for values, _ in requests])
        except Exception as error:
            for _, found in requests:
                if not found.done():
                    found.set_exception(error)
            return
        for (_, found), of_request in zip(requests, results, strict=True):
            if not found.done():
                found.set_result(of_request)
