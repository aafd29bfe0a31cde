"""The stream of threshold events: one look at PostgreSQL for all clients, and a queue for each client.

A client gets each event behind the position from which it goes on once, in the order of positions: what is committed
before it comes is read from the table, the rest reaches its queue. A client that is too slow for its queue, or meets an
outage, is disconnected, and goes on with ``Last-Event-ID``.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from sqlalchemy.engine import URL

from bytemeter.logs import logger
from bytemeter.postgres import database, one_line_errors
from bytemeter.web.problems import Problem, try_later
from serving.api.events import SQL, Event, Filter, last_position, read_events
from serving.api.reading import Reading
from serving.api.snapshots import Snapshots

_LOOK_S, _LOOK_UNWATCHED_S, _AGAIN_S = 0.1, 0.5, 1.0
_ALIVE_S = 15.0
_EVENTS_AT_ONCE = 1_000
_QUEUE = 10_000
_BEGINNING = b"retry: 1000\n\n"


@dataclass(eq=False)
class _Subscriber:
    """A client's queue; ``ended`` once it has to go."""

    queue: asyncio.Queue[Event | None] = field(default_factory=lambda: asyncio.Queue(_QUEUE))
    ended: bool = False

    def put(self, event: Event) -> None:
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.end()

    def end(self) -> None:
        self.ended = True
        with contextlib.suppress(asyncio.QueueFull):
            self.queue.put_nowait(None)


class EventStream:
    """Gives events their positions, and new ones to all clients.

    Attributes:
        available: whether the last look at PostgreSQL succeeded.
    """

    def __init__(self, url: URL, snapshots: Snapshots, *, most_clients: int, timeout_s: int) -> None:
        # Numbering writes, by a function of its owner's.
        writing = url.update_query_dict({"options": "-c default_transaction_read_only=off"})
        self._engine = database(writing.render_as_string(hide_password=False), patience_s=timeout_s, pool=1)
        self._looking = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self._thread = ThreadPoolExecutor(1, "events")
        self._snapshots, self._most_clients = snapshots, most_clients
        self._subscribers: set[_Subscriber] = set()
        # All events up to this position have reached the queues.
        self._head: int | None = None
        self._task: asyncio.Task[None] | None = None
        self._ending = False
        self.available = False

    @property
    def clients(self) -> int:
        """How many follow the stream."""
        return len(self._subscribers)

    async def start(self) -> None:
        """Look for events in the background.

        Raises:
            BytemeterError: PostgreSQL cannot be reached, or lacks the tables.
        """
        await self._look()
        self._task = asyncio.create_task(self._run())

    def end(self) -> None:
        """Disconnect all clients, and take no more."""
        self._ending = True
        for subscriber in self._subscribers:
            subscriber.end()

    async def stop(self) -> None:
        """End."""
        if self._task:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self._thread.shutdown()
        self._engine.dispose()

    def follow(self, which: Filter, after: int | None, message: Callable[[Event], bytes]) -> AsyncIterator[bytes]:
        """The messages for a client.

        Args:
            after: the position behind which it goes on; None for events from now on.
            message: an event as the client gets it; empty if it does not.

        Raises:
            Problem: 503 if there are too many clients, PostgreSQL is away, or the server ends.
        """
        if self._ending or self._head is None or len(self._subscribers) >= self._most_clients:
            raise try_later(503, f"{len(self._subscribers)} clients follow the stream; connect again later", 5)
        return self._messages(which, after, message)

    async def _messages(
        self, which: Filter, after: int | None, message: Callable[[Event], bytes]
    ) -> AsyncIterator[bytes]:
        to, head = _Subscriber(), self._head or 0
        position = head if after is None else after
        # From here on what is behind the head reaches the queue.
        self._subscribers.add(to)
        try:
            yield _BEGINNING
            while position < head:
                events = await self._snapshots.ask(_reading(which, position, head))
                position = events[-1].position if len(events) == _EVENTS_AT_ONCE else head
                yield b"".join(map(message, events)) or _position(position)
            while not to.ended:
                taken = await self._taken(to)
                new = [event for event in taken if event.position > position]
                position = new[-1].position if new else position
                yield b"".join(message(event) for event in new if which.matches(event)) or _position(position)
        except Problem:
            # It connects again, with its Last-Event-ID.
            return
        finally:
            self._subscribers.discard(to)

    async def _taken(self, to: _Subscriber) -> list[Event]:
        """What waits in the queue; nothing after a while without events."""
        try:
            async with asyncio.timeout(_ALIVE_S):
                taken = [await to.queue.get()]
        except TimeoutError:
            return []
        while not to.queue.empty() and len(taken) < _EVENTS_AT_ONCE:
            taken.append(to.queue.get_nowait())
        return [event for event in taken if event is not None]

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_S if self._subscribers else _LOOK_UNWATCHED_S)
            try:
                await self._look()
            except Exception as error:
                # Whatever it is: without this task no client would ever get an event again.
                if self.available:
                    logger().warning("no look at threshold events; trying again", error=str(error))
                self.available = False
                await asyncio.sleep(_AGAIN_S)

    async def _look(self) -> None:
        """Give new events to all clients."""
        more = True
        while more:
            events = await asyncio.get_running_loop().run_in_executor(self._thread, self._new)
            for event in events:
                for subscriber in self._subscribers:
                    subscriber.put(event)
                self._head = event.position
            more = len(events) == _EVENTS_AT_ONCE
        self.available = True

    def _new(self) -> list[Event]:
        with one_line_errors(self._engine.url), self._looking.connect() as connection:
            given = connection.scalars(SQL["number_events"]).one()
            while given and self._head is None:
                # Events of a long time in which no API ran.
                given = connection.scalars(SQL["number_events"]).one()
            if self._head is None:
                self._head = last_position(connection)
            return read_events(connection, Filter(), after=self._head, most=_EVENTS_AT_ONCE)


def _position(position: int) -> bytes:
    """A position alone: no event to the client, which goes on from it all the same."""
    return b"id: %d\n\n" % position


def _reading(which: Filter, after: int, until: int) -> Callable[[Reading], list[Event]]:
    def question(reading: Reading) -> list[Event]:
        return read_events(reading, which, after=after, until=until, most=_EVENTS_AT_ONCE)

    return question
