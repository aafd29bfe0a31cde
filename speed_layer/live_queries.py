"""Which live queries count which feeds: each feed names its live query, here are the queries by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bytemeter.errors import BytemeterError
from bytemeter.feeds import Feed
from bytemeter.plans.outbox import Outbox
from speed_layer.dedup.horizon import DEFAULT
from speed_layer.engine.live_query import LiveQuery
from speed_layer.plans.query import DataPlanQuery
from speed_layer.totals.query import TotalsQuery


@dataclass(frozen=True)
class CountingContext:
    """What live queries need beside their feeds.

    Attributes:
        outbox: publishes threshold events.
        grace: how long after its end a billing period stays open for late records, by event time.
        clock: the wall clock that closes billing periods while all partitions are idle; None to go by event time only.
        identity_horizon: how far behind the watermark records of feeds without a horizon of their own are deduplicated.
    """

    outbox: Outbox
    grace: dt.timedelta
    clock: Callable[[], dt.datetime] | None
    identity_horizon: dt.timedelta = DEFAULT


Factory = Callable[[Sequence[Feed], CountingContext], Iterator[LiveQuery]]


def live_queries(feeds: Iterable[Feed], context: CountingContext) -> Iterator[LiveQuery]:
    """The live queries that count these feeds, one after the other; feeds that are counted together share a query.

    Raises:
        BytemeterError: a feed names a live query that does not exist.
        TransientError: events that wait in the outbox could not be published.
    """
    by_query: dict[str, list[Feed]] = {}
    for feed in feeds:
        by_query.setdefault(feed.live_query, []).append(feed)
    for name, chosen in by_query.items():
        if name not in LIVE_QUERIES:
            raise BytemeterError(
                f"the feed {chosen[0].name} names the live query {name!r}; the live queries are "
                f"{', '.join(LIVE_QUERIES)}; correct its declaration"
            )
        yield from LIVE_QUERIES[name](chosen, context)


def _totals(feeds: Sequence[Feed], context: CountingContext) -> Iterator[LiveQuery]:
    """A query for each feed."""
    return (TotalsQuery(feed, context.identity_horizon) for feed in feeds)


def _data_plans(_: Sequence[Feed], context: CountingContext) -> Iterator[LiveQuery]:
    """One query for both feeds of the data plans. Events that wait in the outbox are published first."""
    context.outbox.publish_waiting()
    yield DataPlanQuery(context.outbox, context.grace, context.clock, context.identity_horizon)


LIVE_QUERIES: Mapping[str, Factory] = {"totals": _totals, "data-plans": _data_plans}
