"""Counts, durations and active users of telemetry: live over a restart, recomputed from the history, and by hand."""

from __future__ import annotations

import datetime as dt
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

from batch_layer.hourly.job import HourlyJob
from bytemeter.feeds import TELEMETRY
from bytemeter.settings import Settings
from tests.messages import NOW_S
from tests.seeds import SEED
from tests.telemetry import create_topics
from tests.telemetry_events import event

Rows = Callable[..., list[tuple[Any, ...]]]
HOUR_S = 3_600
DIFFERING = """
    select * from (
        select dimension, id, date_trunc('hour', timestamp, 'UTC') as hour, sum(value) as value
        from event_counts where feed = 'telemetry' group by 1, 2, 3
    ) as live full join (select * from event_counts_hourly where feed = 'telemetry') as batch
        on (live.dimension, live.id, live.hour) = (batch.dimension, batch.id, batch.timestamp)
    where live.value is distinct from batch.value
"""


def test_live_figures_over_a_restart_equal_those_of_the_recompute_and_a_count_by_hand(
    put: Callable[..., None],
    stream: Callable[..., None],
    rows: Rows,
    place: Settings,
    hourly_job: Callable[..., HourlyJob],
) -> None:
    create_topics(place)
    drawn = random.Random(SEED)
    counts: Counter[tuple[str, str]] = Counter()
    users: dict[dt.date, set[str]] = defaultdict(set)
    values = []
    for n in range(300):
        eid = drawn.choice(["START", "END", "IMPRESSION", "HEARTBEAT", "LOG"])
        # Within the horizon, so that no duplicate waits for the recompute.
        at_s = NOW_S - drawn.randrange(36 * HOUR_S)
        who, kind = f"u{drawn.randrange(40)}", drawn.choice(["User", "System"])
        content = drawn.choice([None, "do_1", "do_2"])
        seconds = drawn.choice([None, 0, 12.5, drawn.random() * 1e4]) if eid == "END" else None
        members: dict[str, Any] = {"ets": 1_000 * at_s + 0.5, "actor": {"id": who, "type": kind}}
        if content:
            members["object"] = {"id": content, "type": "Content"}
        if eid == "END":
            members["edata"] = {"type": "session"} | ({} if seconds is None else {"duration": seconds})
        values.append(event(eid, f"m{n}", **members))
        counts["eid", eid] += 1
        if content:
            counts["content", content] += 1
        if kind == "User":
            counts["user", who] += 1
            users[dt.datetime.fromtimestamp(at_s, dt.UTC).date()].add(who)
        if seconds is not None:
            counts["eid_milliseconds", eid] += round(1_000 * seconds)
            if content:
                counts["content_milliseconds", content] += round(1_000 * seconds)
    # LOG events have no event id: they would count twice.
    repeated = [value for value in values[:150] if b'"LOG"' not in value]
    put(values[:200], topic="telemetry.raw")
    stream(TELEMETRY)
    put([*repeated, *values[200:]], topic="telemetry.raw")
    stream(TELEMETRY)

    live = rows(
        "select dimension, id, sum(value) from event_counts"
        " where feed = 'telemetry' and dimension not in ('channel', 'device') group by 1, 2"
    )
    assert {(dimension, id_): int(value) for dimension, id_, value in live if value} == {
        k: n for k, n in counts.items() if n
    }
    account = "select sum(received), sum(counted), sum(duplicate) from ledger where feed = 'telemetry'"
    assert rows(account) == [(300 + len(repeated), 300, len(repeated))]

    def seen() -> dict[str, Any]:
        days = rows("select (day at time zone 'UTC')::date, users from telemetry_active_users")
        (sessions,) = rows("select sum(started), sum(ended), round(sum(minutes), 3) from telemetry_sessions")
        outcomes = rows("select outcome, sum(events) from telemetry_events group by 1")
        return {"users": dict(days), "sessions": sessions, "outcomes": dict(outcomes)}

    before = seen()
    assert before["users"] == {day: len(of_day) for day, of_day in users.items()}
    assert before["sessions"][:2] == (counts["eid", "START"], counts["eid", "END"])
    assert before["outcomes"] == {"unique": 300 - counts["eid", "LOG"], "log": counts["eid", "LOG"]}
    assert rows(DIFFERING) != []
    hourly_job(TELEMETRY).run()
    assert rows(DIFFERING) == []
    assert rows("select distinct source from telemetry_events") == [("batch",)]
    assert seen() == before
