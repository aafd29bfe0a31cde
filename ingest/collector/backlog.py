"""Messages that wait in the journal for Kafka: written together, sent in their order, removed once acknowledged."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from operator import itemgetter
from typing import TypeVar

import msgspec

from bytemeter.logs import logger
from ingest.collector.delivery import Delivery, Destination, Message
from ingest.collector.journal import Journal, JournalFullError

_MESSAGES_AT_ONCE = 2_000
_AGAIN_S = 1.0

# destination, key, value
_Record = tuple[Destination, str | None, bytes]
_DECODER = msgspec.msgpack.Decoder(_Record)
_ENCODE = msgspec.msgpack.Encoder().encode
_Answer = TypeVar("_Answer")


class Backlog:
    """A journal with what writes and what sends its records.

    Messages are sent at least once, in the order in which they were appended. A segment is sent again if the process
    ends before all of it is acknowledged.
    """

    def __init__(self, journal: Journal, delivery: Delivery) -> None:
        self._journal, self._delivery = journal, delivery
        self._pending: list[tuple[list[bytes], asyncio.Future[bool]]] = []
        self._wake_writer, self._wake_sender = asyncio.Event(), asyncio.Event()
        self._writing = False
        # The journal is used by this thread alone.
        self._thread = ThreadPoolExecutor(1, "journal")
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def empty(self) -> bool:
        """Whether no message waits."""
        return not (self._pending or self._writing) and self._journal.empty

    @property
    def has_room(self) -> bool:
        """Whether the journal is below its bound."""
        return self._journal.has_room()

    @property
    def size(self) -> int:
        """Bytes of the journal."""
        return self._journal.size

    def start(self) -> None:
        """Write and send in the background, first what an earlier process has left."""
        self._wake_sender.set()
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._send())]

    async def stop(self) -> None:
        """End; what waits stays in the journal."""
        for task in reversed(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._in_thread(self._journal.close)
        self._thread.shutdown()

    async def append(self, to: Destination, messages: Sequence[Message]) -> bool:
        """Keep messages; returns whether they are safe on disk, all or none."""
        records = [_ENCODE((to, one["key"], one["value"])) for one in messages]
        kept: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._pending.append((records, kept))
        self._wake_writer.set()
        return await kept

    async def _write(self) -> None:
        """Write what requests have appended meanwhile with one sync."""
        while True:
            await self._wake_writer.wait()
            self._wake_writer.clear()
            taken, self._pending, self._writing = self._pending, [], True
            try:
                kept = await self._in_thread(partial(self._written, [records for records, _ in taken]))
            except Exception as error:
                # A defect: requests have to be answered all the same.
                logger().error("the journal cannot be written", error=repr(error))
                kept = [False] * len(taken)
            self._writing = False
            for (_, future), is_kept in zip(taken, kept, strict=True):
                if not future.done():
                    future.set_result(is_kept)
            self._wake_sender.set()

    def _written(self, appended: list[list[bytes]]) -> list[bool]:
        try:
            self._journal.append(record for records in appended for record in records)
        except (JournalFullError, OSError) as error:
            if len(appended) > 1:
                # Smaller ones may still fit.
                return [kept for records in appended for kept in self._written([records])]
            logger().warning("not journaled", error=str(error))
            return [False] * len(appended)
        return [True] * len(appended)

    async def _send(self) -> None:
        while True:
            await self._wake_sender.wait()
            self._wake_sender.clear()
            try:
                while await self._send_oldest():
                    pass
            except (OSError, msgspec.MsgspecError) as error:
                logger().error("the journal cannot be sent; trying again", error=repr(error))
                await asyncio.sleep(_AGAIN_S)
                self._wake_sender.set()

    async def _send_oldest(self) -> bool:
        """Send the oldest segment and remove it; returns whether there was one."""
        segment = await self._in_thread(self._journal.oldest)
        if segment is None:
            return False
        records = await self._in_thread(lambda: [_DECODER.decode(record) for record in self._journal.read(segment)])
        for start in range(0, len(records), _MESSAGES_AT_ONCE):
            for to, records_to in groupby(records[start : start + _MESSAGES_AT_ONCE], itemgetter(0)):
                await self._deliver(to, [{"value": value, "key": key} for _, key, value in records_to])
        await self._in_thread(partial(self._journal.remove, segment))
        logger().info("sent a segment of the journal", messages=len(records), waiting_bytes=self._journal.size)
        return True

    async def _in_thread(self, use: Callable[[], _Answer]) -> _Answer:
        return await asyncio.get_running_loop().run_in_executor(self._thread, use)

    async def _deliver(self, to: Destination, messages: list[Message]) -> None:
        """Deliver all of them, however long Kafka is away."""
        while messages:
            while not self._delivery.available:
                await asyncio.sleep(_AGAIN_S)
            delivered = await self._delivery.deliver(to, messages)
            messages = [message for message, arrived in zip(messages, delivered, strict=True) if not arrived]
            if messages:
                await asyncio.sleep(_AGAIN_S)
