"""Which live queries count which feeds: each feed names its live query, here are the queries by name."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from bytemeter.errors import BytemeterError
from bytemeter.feeds import TELEMETRY_UNIQUE, Feed
from bytemeter.plans.outbox import Outbox
from speed_layer.dedup.horizon import DEFAULT
from speed_layer.engine.live_query import LiveQuery
from speed_layer.executor.denorm import DenormStage
from speed_layer.executor.outgoing import Stage
from speed_layer.executor.telemetry import BatchStage, EventStage
from speed_layer.plans.query import DataPlanQuery
from speed_layer.routing.query import RoutedQuery
from speed_layer.routing.router import Router
from speed_layer.telemetry.references import completed
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


@dataclass(frozen=True)
class LiveQueryPlan:
    """A live query that is to run, and can be made anew for each start.

    Attributes:
        name: of the query that ``make`` makes.
        make: the query, in the state of a new process.

    Raises:
        TransientError: ``make``: events that wait in the outbox could not be published.
    """

    name: str
    make: Callable[[CountingContext], LiveQuery]


Plan = Callable[[Sequence[Feed]], Iterator[LiveQueryPlan]]


def live_queries(feeds: Iterable[Feed]) -> list[LiveQueryPlan]:
    """The live queries that count these feeds; feeds that are counted together share a query.

    Raises:
        BytemeterError: a feed names a live query that does not exist.
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
    return [plan for name, chosen in by_query.items() for plan in LIVE_QUERIES[name](chosen)]


def _totals(feeds: Sequence[Feed]) -> Iterator[LiveQueryPlan]:
    """A query for each feed."""
    for feed in feeds:
        yield LiveQueryPlan(feed.name, partial(_totals_query, feed))


def _totals_query(feed: Feed, context: CountingContext) -> LiveQuery:
    return TotalsQuery(feed, context.identity_horizon)


def _data_plans(_: Sequence[Feed]) -> Iterator[LiveQueryPlan]:
    """One query for both feeds of the data plans."""
    yield LiveQueryPlan("data-plans", _data_plan_query)


def _data_plan_query(context: CountingContext) -> LiveQuery:
    """Events that wait in the outbox are published first."""
    context.outbox.publish()
    return DataPlanQuery(context.outbox, context.grace, context.clock, context.identity_horizon)


def _routed(stage: Callable[[Feed], Stage], feeds: Sequence[Feed]) -> Iterator[LiveQueryPlan]:
    """A query for each feed, whose messages are sent on."""
    for feed in feeds:
        yield LiveQueryPlan(feed.name, partial(_routed_query, stage(feed)))


def _routed_query(stage: Stage, context: CountingContext) -> LiveQuery:
    counting = TotalsQuery(stage.feed, context.identity_horizon)
    return RoutedQuery(stage, counting, Router(context.outbox.kafka, stage.feed))


def _denorm(_: Sequence[Feed]) -> Iterator[LiveQueryPlan]:
    """One query: unique events get their rows of the reference tables."""
    yield LiveQueryPlan(TELEMETRY_UNIQUE.name, _denorm_query)


def _denorm_query(context: CountingContext) -> LiveQuery:
    stage = DenormStage()
    counting = TotalsQuery(stage.feed, context.identity_horizon)
    return RoutedQuery(stage, counting, Router(context.outbox.kafka, stage.feed), completed)


LIVE_QUERIES: Mapping[str, Plan] = {
    "totals": _totals,
    "data-plans": _data_plans,
    "telemetry-batches": partial(_routed, BatchStage),
    "telemetry": partial(_routed, EventStage),
    "telemetry-denorm": _denorm,
}
