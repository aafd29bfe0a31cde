"""Judges the events of requests, delivers the valid ones, and tells what became of each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

from bytemeter.feeds import Feed
from ingest.collector.backlog import Backlog
from ingest.collector.delivery import Delivery, Destination, Message
from ingest.collector.gathering import Gathering
from ingest.collector.results import ACCEPTED, DUPLICATE, INVALID, RETRY, Result
from ingest.collector.splitting import Events
from ingest.identities import identified
from ingest.judging import field_of, judge, value_of

# So many events are judged before other requests get their turn: two or three milliseconds.
_EVENTS_AT_ONCE = 1_000
# Requests with fewer events are taken together with others.
_FEW_EVENTS = 50
# Event ids, with event hours, that a request has had.
_Seen = set[tuple[str, int | None]]


class Collecting:
    """Takes events.

    Attributes:
        delivery: to Kafka.
        backlog: the journal while Kafka is away; None to answer ``retry`` then.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        topic_name: Callable[[str], str],
        delivery: Delivery,
        backlog: Backlog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take events.

        Args:
            topic_name: gives the name on the cluster of a feed's topic.
        """
        self.delivery, self.backlog, self.clock = delivery, backlog, clock
        self._topic_name = topic_name
        self._gatherings: dict[Destination, Gathering] = {}

    @property
    def available(self) -> bool:
        """Whether events can be taken now."""
        return self.delivery.available or (self.backlog is not None and self.backlog.has_room)

    def lacks_topic(self, feed: Feed) -> bool:
        """Whether Kafka has no topic for a feed, as far as is known."""
        return self._topic_name(feed.topic) in self.delivery.missing

    async def collect(
        self, feed: Feed, events: Events, new_id: Callable[[int], str], *, partition: int | None = None
    ) -> list[Result]:
        """Take the events of a request; returns the results in their order.

        Args:
            new_id: makes the event id of an event that has none, by its place.
            partition: for all of them, so that they stay in order; by default their keys decide.
        """
        to = Destination(self._topic_name(feed.topic), partition)
        values = identified(feed, events.values, events.ids, new_id)
        if len(values) < _FEW_EVENTS:
            results = await self._gathering(feed, to).results(values)
        else:
            results = await self._in_chunks(feed, to, values)
        for place, refused in events.refused.items():
            results[place] = Result(INVALID, reason=refused.reason, field=refused.field)
        return results

    async def deliver(self, feed: Feed, message: Message, id_: str) -> Result:
        """Take one message as it is; returns its result, accepted or retry, with this event id."""
        result = Result(ACCEPTED, id_)
        await self._deliver(Destination(self._topic_name(feed.topic)), [message], [result])
        return result

    def _gathering(self, feed: Feed, to: Destination) -> Gathering:
        if to not in self._gatherings:
            self._gatherings[to] = Gathering(partial(self._together, feed, to))
        return self._gatherings[to]

    async def _together(self, feed: Feed, to: Destination, requests: Sequence[Sequence[bytes]]) -> list[list[Result]]:
        """Take the events of several small requests; returns the results of each."""
        results, messages = self._judged(feed, [(values, set()) for values in requests])
        await self._deliver(to, messages, [result for of_request in results for result in of_request])
        return results

    async def _in_chunks(self, feed: Feed, to: Destination, values: Sequence[bytes]) -> list[Result]:
        """Take the events of a large request; others get their turn in between."""
        seen: _Seen = set()
        results: list[Result] = []
        deliveries = []
        for start in range(0, len(values), _EVENTS_AT_ONCE):
            if start:
                await asyncio.sleep(0)
            (found,), messages = self._judged(feed, [(values[start : start + _EVENTS_AT_ONCE], seen)])
            results += found
            deliveries.append(asyncio.ensure_future(self._deliver(to, messages, found)))
        await asyncio.gather(*deliveries)
        return results

    def _judged(
        self, feed: Feed, requests: Sequence[tuple[Sequence[bytes], _Seen]]
    ) -> tuple[list[list[Result]], list[Message]]:
        """The results of the events of some requests, as if all messages arrived, and the messages."""
        values = [value for of_request, _ in requests for value in of_request]
        judged = judge(feed, values, round(1_000_000 * self.clock()))
        found = zip(values, judged.reasons, judged.ids, judged.keys, judged.hours, strict=True)
        messages: list[Message] = []
        results: list[list[Result]] = []
        for of_request, seen in requests:
            results.append([])
            for value, reason, id_, key, hour in islice(found, len(of_request)):
                if reason is not None:
                    field = field_of(feed, reason)
                    result = Result(INVALID, reason=reason, field=field, value=value_of(feed, field, value))
                # As in the stream: the same id in the same event hour.
                elif id_ is not None and (id_, hour) in seen:
                    result = Result(DUPLICATE, id_)
                else:
                    result = Result(ACCEPTED, id_)
                    messages.append({"value": value, "key": key})
                    if id_ is not None:
                        seen.add((id_, hour))
                results[-1].append(result)
        return results, messages

    async def _deliver(self, to: Destination, messages: list[Message], results: Sequence[Result]) -> None:
        """Deliver messages; the results of those that did not arrive become ``retry``."""
        if not messages:
            return
        delivered = await self._delivered(to, messages)
        if not all(delivered):
            accepted = (result for result in results if result.status == ACCEPTED)
            for result, arrived in zip(accepted, delivered, strict=True):
                if not arrived:
                    result.status = RETRY

    async def _delivered(self, to: Destination, messages: list[Message]) -> list[bool]:
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
