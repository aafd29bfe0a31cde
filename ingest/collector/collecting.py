"""Judges the events of a request, delivers the valid ones, and tells what became of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bytemeter.feeds import Feed
from ingest.collector.backlog import Backlog
from ingest.collector.delivery import Delivery, Destination, Message
from ingest.collector.identities import identified
from ingest.collector.judging import field_of, judge
from ingest.collector.results import ACCEPTED, DUPLICATE, INVALID, RETRY, Result
from ingest.collector.splitting import Events

# So many events are judged before other requests get their turn: two or three milliseconds.
_EVENTS_AT_ONCE = 1_000


@dataclass(frozen=True)
class Collecting:
    """Takes events.

    Attributes:
        topic_name: the name on the cluster of a feed's topic.
        delivery: to Kafka.
        backlog: the journal while Kafka is away; None to answer ``retry`` then.
        clock: seconds since 1970.
    """

    topic_name: Callable[[str], str]
    delivery: Delivery
    backlog: Backlog | None = None
    clock: Callable[[], float] = time.time

    @property
    def available(self) -> bool:
        """Whether events can be taken now."""
        return self.delivery.available or (self.backlog is not None and self.backlog.has_room)

    async def collect(
        self, feed: Feed, events: Events, new_id: Callable[[int], str], *, partition: int | None = None
    ) -> list[Result]:
        """Take events; returns the results in their order.

        Args:
            new_id: makes the event id of an event that has none, by its place.
            partition: for all of them, so that they stay in order; by default their keys decide.
        """
        to = Destination(self.topic_name(feed.topic), partition)
        values = identified(feed, events.values, events.ids, new_id)
        seen: set[tuple[str, int | None]] = set()
        results: list[Result] = []
        deliveries = []
        for start in range(0, len(values), _EVENTS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            chunk = values[start : start + _EVENTS_AT_ONCE]
            found, messages = self._judged(feed, chunk, seen)
            results += found
            if messages:
                accepted = [result for result in found if result.status == ACCEPTED]
                deliveries.append(self._deliver(to, messages, accepted))
        if len(deliveries) == 1:
            await deliveries[0]
        else:
            await asyncio.gather(*deliveries)
        for place, refused in events.refused.items():
            results[place] = Result(INVALID, reason=refused.reason, field=refused.field)
        return results

    def _judged(
        self, feed: Feed, values: Sequence[bytes], seen: set[tuple[str, int | None]]
    ) -> tuple[list[Result], list[Message]]:
        """The results of some events, as if all messages arrived, and the messages."""
        judged = judge(feed, values, round(1_000_000 * self.clock()))
        results: list[Result] = []
        messages: list[Message] = []
        for value, reason, id_, key, hour in zip(
            values, judged.reasons, judged.ids, judged.keys, judged.hours, strict=True
        ):
            if reason is not None:
                results.append(Result(INVALID, reason=reason, field=field_of(feed, reason)))
                continue
            # As in the stream: the same id in the same event hour.
            if id_ is not None and (id_, hour) in seen:
                results.append(Result(DUPLICATE, id_))
                continue
            if id_ is not None:
                seen.add((id_, hour))
            results.append(Result(ACCEPTED, id_))
            messages.append({"value": value, "key": key})
        return results, messages

    async def _deliver(self, to: Destination, messages: Sequence[Message], accepted: Sequence[Result]) -> None:
        """Deliver messages; the results of those that did not arrive become ``retry``."""
        delivered = await self._delivered(to, messages)
        for result, arrived in zip(accepted, delivered, strict=True):
            if not arrived:
                result.status = RETRY

    async def _delivered(self, to: Destination, messages: Sequence[Message]) -> list[bool]:
        if self.backlog is None:
            return await self.delivery.deliver(to, messages)
        if not (self.backlog.empty and self.delivery.available):
            return [await self.backlog.append(to, messages)] * len(messages)
        delivered = await self.delivery.deliver(to, messages)
        if all(delivered):
            return delivered
        lacking = [message for message, arrived in zip(messages, delivered, strict=True) if not arrived]
        kept = await self.backlog.append(to, lacking)
        return [arrived or kept for arrived in delivered]
