"""The answer of ``bytemeter status``: as lines for people, and as JSON for machines."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from bytemeter.feeds import FEEDS
from bytemeter.leases.owner import shown
from serving.status.facts import Facts
from serving.status.rules import is_heard

# Of the first column: what the longest name of a feed needs.
WIDTH = 2 + max(map(len, FEEDS))


def summary(facts: Facts, wrong: Sequence[str]) -> dict[str, Any]:
    """All facts in the types of JSON. Instants are ISO 8601, in UTC."""
    return {
        "at": _plain(facts.now),
        "healthy": not wrong,
        "wrong": list(wrong),
        "prepared": facts.prepared,
        "feeds": [_feed(facts, name) for name in FEEDS],
        "recomputes": _plain(facts.dirty),
        "outbox": _plain(facts.outbox),
        "jobs": _plain(facts.jobs),
    }


def _feed(facts: Facts, name: str) -> dict[str, Any]:
    rows = [row for row in facts.partitions if row["feed"] == name]
    counted = [row for row in rows if row["next_offset"] is not None]
    since = min((at for (feed, _), at in facts.waiting.items() if feed == name), default=None)
    owners = sorted({shown(row["owner"]) for row in rows if row["owner"] and is_heard(row, facts.now)})
    history = [row["history_lag"] for row in counted if row["history_lag"] is not None]
    return {
        "feed": name,
        "received": int(sum(row["received"] for row in counted)),
        "lag": sum(facts.lag(row) for row in counted) if counted else None,
        "lag_s": max((facts.now - since).total_seconds(), 0.0) if since else (0.0 if counted else None),
        "last_micro_batch": _plain(max((row["counted_at"] for row in counted), default=None)),
        "balanced": all(row["balanced"] for row in counted),
        "history_lag": int(sum(history)) if history else None,
        "counted_by": owners,
        "unsent": sum(row["waiting"] for row in facts.routing if row["feed"] == name),
    }


def lines(answer: dict[str, Any]) -> Iterator[str]:
    """The answer for people; the lines of what is wrong stand at the end."""
    if not answer["prepared"]:
        yield f"{'database':<{WIDTH}}has no tables yet; run `bytemeter migrate`"
    for feed in answer["feeds"]:
        yield f"{feed['feed']:<{WIDTH}}{_counting(feed)}"
    for row in answer["recomputes"]:
        last = _shown(row["last_recompute"]) or "never"
        yield f"{'recompute':<{WIDTH}}{row['feed']}: last {last}, {row['dirty_hours']} dirty hours that are over"
    if answer["outbox"]:
        yield f"{'outbox':<{WIDTH}}{answer['outbox']['waiting']} events wait to be published"
    for job in answer["jobs"]:
        last = f"{job['outcome']}, began {_shown(job['started_at'])}" if job["outcome"] else "never run"
        yield f"{job['job']:<{WIDTH}}{last}; next {_shown(job['next_at']) or 'by hand'}"
    for line in answer["wrong"]:
        yield f"wrong: {line}"


def _counting(feed: dict[str, Any]) -> str:
    if feed["lag"] is None:
        return "nothing counted yet"
    history = "not noted" if feed["history_lag"] is None else f"{feed['history_lag']} behind"
    by = ", ".join(feed["counted_by"]) or "nobody now"
    waits = f", the first for {feed['lag_s']:.0f} s" if feed["lag_s"] else ""
    last = _shown(feed["last_micro_batch"])
    unsent = f"; {feed['unsent']} counted, and not sent on yet" if feed["unsent"] else ""
    return (
        f"{feed['received']} received, {feed['lag']} wait{waits}{unsent}; last micro-batch {last}; "
        f"history {history}; counted by {by}"
    )


def _shown(at: str | None) -> str | None:
    """An instant of the answer to the second, as the lines of what is wrong have it."""
    return f"{dt.datetime.fromisoformat(at):%Y-%m-%dT%H:%M:%SZ}" if at else None


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list():
            return [_plain(inner) for inner in value]
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat()
        case Decimal():
            return int(value)
        case _:
            return value
