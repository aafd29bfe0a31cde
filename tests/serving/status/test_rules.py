"""What is wrong, by the facts: without servers."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from bytemeter.kafka import Topic
from serving.status.facts import Facts
from serving.status.rules import wrong

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
OWNER = "elsewhere 1 1 there"
TOPIC = Topic("devices", "id", {0: 10}, {0: 100})
HEALTHY: dict[str, Any] = {
    "feed": "devices", "partition": 0, "topic_id": "id", "next_offset": 100, "lag": 0, "counted_at": NOW,
    "received": 90, "balanced": True, "history_offset": 100, "history_lag": 0, "history_at": NOW, "owner": OWNER,
    "heard_at": NOW, "silent_s": 30.0,
}  # fmt: skip
JOB: dict[str, Any] = {"job": "hourly", "outcome": "done", "next_at": NOW, "failures": 0, "told": "", "ended_at": NOW}


def minutes(count: float) -> dt.datetime:
    """So long ago."""
    return NOW - dt.timedelta(minutes=count)


def facts(row: dict[str, Any] | None = None, **others: Any) -> Facts:
    partitions = [HEALTHY | (row or {})]
    return Facts(**{"now": NOW, "partitions": partitions, "topics": {"devices": TOPIC}, **others})


def test_a_new_stack_and_a_healthy_one_have_nothing_wrong() -> None:
    assert wrong(Facts(NOW, topics={"devices": TOPIC, "agreements": None})) == []
    assert wrong(facts(jobs=[JOB], outbox={"waiting": 1, "oldest": minutes(4)})) == []
    assert wrong(facts(routing=[{"feed": "telemetry", "waiting": 9, "counted_at": minutes(4)}])) == []


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"balanced": False}, "devices: the ledger of partition 0 does not balance"),
        ({"topic_id": "other"}, "devices: topic devices was re-created since it was counted"),
        ({"next_offset": 101}, "devices: topic devices is shorter than before"),
        ({"next_offset": 9}, "devices: topic devices has deleted messages that were not read yet"),
        ({"next_offset": 90, "heard_at": None}, "devices: 10 messages wait, and nobody counts them since"),
        ({"heard_at": minutes(1)}, "process 1 on elsewhere holds the lease of the feed devices, and was last heard"),
        ({"history_lag": 5, "history_at": minutes(16)}, "devices: the history is 5 messages behind the ledger"),
    ],
)
def test_each_fault_of_a_feed_is_a_line(row: dict[str, Any], line: str) -> None:
    assert [found[: len(line)] for found in wrong(facts(row))] == [line]


@pytest.mark.parametrize(
    ("others", "line"),
    [
        ({"topics": {"devices": None}}, "devices: the ledger has counted a topic that Kafka does not have any more"),
        ({"outbox": {"waiting": 2, "oldest": minutes(6)}}, "outbox: 2 threshold events are not published"),
        (
            {"dirty": [{"feed": "devices", "dirty_hours": 2, "dirty_since": minutes(181)}]},
            "devices: 2 hours wait for a recompute, the first since 2026-11-21T08:59:00Z",
        ),
        (
            {"jobs": [JOB | {"outcome": "failed", "failures": 2, "told": "no history"}]},
            "hourly: the run failed 2 times, last at 2026-11-21T12:00:00Z: no history",
        ),
        ({"jobs": [JOB | {"next_at": minutes(31)}]}, "hourly: due since 2026-11-21T11:29:00Z and not begun"),
        (
            {"routing": [{"feed": "telemetry", "waiting": 7, "counted_at": minutes(6)}]},
            "telemetry: 7 messages are counted and not sent on since 2026-11-21T11:54:00Z; `bytemeter stream telemetry`",
        ),
        ({"unreached": ["Kafka is away"]}, "Kafka is away"),
    ],
)
def test_each_other_fault_is_a_line(others: dict[str, Any], line: str) -> None:
    assert [found[: len(line)] for found in wrong(facts(**others))] == [line]


def test_a_stream_that_does_not_keep_up_is_wrong() -> None:
    behind = {"next_offset": 90}
    assert wrong(facts(behind, waiting={("devices", 0): minutes(4)})) == []
    (line,) = wrong(facts(behind, waiting={("devices", 0): minutes(6)}))
    assert line.startswith("devices: 10 messages wait, the first of them since 2026-11-21T11:54:00Z, for over 5 min")
