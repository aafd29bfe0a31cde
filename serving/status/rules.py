"""What counts as wrong, in one place: a pure function of the facts. docs/commands.md tells the same."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from bytemeter.errors import BytemeterError
from bytemeter.leases.owner import is_dead, shown
from serving.status.facts import Facts


@dataclass(frozen=True)
class Limits:
    """Beyond what something is wrong."""

    lag: dt.timedelta = dt.timedelta(minutes=5)
    history_lag: dt.timedelta = dt.timedelta(minutes=15)
    dirty: dt.timedelta = dt.timedelta(hours=3)
    event: dt.timedelta = dt.timedelta(minutes=5)
    overdue: dt.timedelta = dt.timedelta(minutes=30)


def wrong(facts: Facts, limits: Limits | None = None) -> list[str]:
    """One line for each thing that is wrong. Before anything was counted, nothing but a server that is away is."""
    limits = limits or Limits()
    return [
        *facts.unreached,
        *_feeds(facts, limits),
        *_dirty(facts, limits),
        *_outbox(facts, limits),
        *_routing(facts, limits),
        *_jobs(facts, limits),
        *_leases(facts),
    ]


def is_heard(lease: dict[str, Any], now: dt.datetime) -> bool:
    """Whether the owner of a lease works: it has not given it back, is not dead, and was heard in time."""
    if lease["heard_at"] is None or is_dead(lease["owner"]):
        return False
    return bool((now - lease["heard_at"]).total_seconds() <= lease["silent_s"])


def _feeds(facts: Facts, limits: Limits) -> Iterator[str]:
    by_feed: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in facts.partitions:
        by_feed[row["feed"]].append(row)
    for feed, rows in by_feed.items():
        counted = [row for row in rows if row["next_offset"] is not None]
        yield from _ledger(facts, feed, counted)
        yield from _lag(facts, limits, feed, counted, all(is_heard(row, facts.now) for row in rows if row["owner"]))
        yield from _history(facts, limits, feed, counted)


def _ledger(facts: Facts, feed: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    """Whether the ledger balances, and ends where Kafka does."""
    for row in rows:
        if not row["balanced"]:
            yield f"{feed}: the ledger of partition {row['partition']} does not balance; report it"
    if not rows or feed not in facts.topics:
        return
    topic, ids = facts.topics[feed], {row["topic_id"] for row in rows}
    remedy = "start over with an empty BYTEMETER_DATABASE_URL and BYTEMETER_HISTORY, or restore the topic"
    if topic is None:
        yield f"{feed}: the ledger has counted a topic that Kafka does not have any more; {remedy}"
        return
    if ids != {topic.id}:
        yield f"{feed}: topic {topic.name} was re-created since it was counted; {remedy}"
        return
    for row in rows:
        try:
            topic.resume_offsets({row["partition"]: row["next_offset"]}, sink="the ledger", remedy=remedy)
        except BytemeterError as error:
            yield f"{feed}: {error}"


def _lag(facts: Facts, limits: Limits, feed: str, rows: list[dict[str, Any]], heard: bool) -> Iterator[str]:
    lag = sum(facts.lag(row) for row in rows)
    owners = [row for row in rows if row["owner"]]
    if lag and not (heard and owners):
        last = max(row["counted_at"] for row in rows)
        yield f"{feed}: {lag} messages wait, and nobody counts them since {_at(last)}; run `bytemeter stream {feed}`"
        return
    since = min((at for (name, _), at in facts.waiting.items() if name == feed), default=None)
    if since is not None and facts.now - since > limits.lag:
        yield (
            f"{feed}: {lag} messages wait, the first of them since {_at(since)}, for over {_span(limits.lag)}; "
            "the stream does not keep up, or cannot commit: see its log"
        )


def _history(facts: Facts, limits: Limits, feed: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    behind = [row for row in rows if row["history_lag"]]
    # The history may rest as long as nothing new is counted that it lacks.
    if behind and all(facts.now - row["history_at"] > limits.history_lag for row in behind):
        lag, since = sum(row["history_lag"] for row in behind), min(row["history_at"] for row in behind)
        yield (
            f"{feed}: the history is {lag} messages behind the ledger since its commit of {_at(since)}; "
            f"is BYTEMETER_HISTORY writable, and does `bytemeter stream {feed}` run?"
        )


def _dirty(facts: Facts, limits: Limits) -> Iterator[str]:
    for row in facts.dirty:
        if row["dirty_since"] is not None and facts.now - row["dirty_since"] > limits.dirty:
            yield (
                f"{row['feed']}: {row['dirty_hours']} hours wait for a recompute, the first since "
                f"{_at(row['dirty_since'])}; run `bytemeter schedule`, or `bytemeter batch hourly --dirty`"
            )


def _outbox(facts: Facts, limits: Limits) -> Iterator[str]:
    oldest = facts.outbox.get("oldest")
    if oldest is not None and facts.now - oldest > limits.event:
        yield (
            f"outbox: {facts.outbox['waiting']} threshold events are not published, the first since {_at(oldest)}; "
            "the stream publishes them once it reaches Kafka"
        )


def _routing(facts: Facts, limits: Limits) -> Iterator[str]:
    by_feed: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in facts.routing:
        if row["waiting"] and facts.now - row["counted_at"] > limits.event:
            by_feed[row["feed"]].append(row)
    for feed, rows in by_feed.items():
        waiting, since = sum(row["waiting"] for row in rows), min(row["counted_at"] for row in rows)
        yield (
            f"{feed}: {waiting} messages are counted and not sent on since {_at(since)}; `bytemeter stream {feed}` "
            "sends them once it reaches Kafka"
        )


def _jobs(facts: Facts, limits: Limits) -> Iterator[str]:
    for row in facts.jobs:
        if row["outcome"] in ("failed", "ended"):
            times = f"{row['failures']} times, last " if row["failures"] > 1 else ""
            told = row["told"].splitlines()[0] if row["told"] else "no reason is known"
            yield f"{row['job']}: the run failed {times}at {_at(row['ended_at'])}: {told}"
        if row["next_at"] is not None and row["outcome"] != "running" and facts.now - row["next_at"] > limits.overdue:
            yield f"{row['job']}: due since {_at(row['next_at'])} and not begun; run `bytemeter schedule`"


def _leases(facts: Facts) -> Iterator[str]:
    rows = [{**row, "of": f"feed {row['feed']}"} for row in facts.partitions if row["owner"]]
    rows += [{**row, "of": f"{row['lease'].removeprefix('job/')} job"} for row in facts.leases]
    stale = {
        (row["of"], row["owner"]): row["heard_at"]
        for row in rows
        if row["heard_at"] is not None and not is_heard(row, facts.now)
    }
    for (of, owner), heard_at in stale.items():
        yield f"{shown(owner)} holds the lease of the {of}, and was last heard at {_at(heard_at)}; start it again"


def _at(at: dt.datetime) -> str:
    return f"{at.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _span(span: dt.timedelta) -> str:
    return f"{span.total_seconds() / 60:g} min"
