"""What ``bytemeter status`` knows of the pipeline, and how it is read: within seconds, also while servers are away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS
from bytemeter.kafka import Kafka, Topic
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings
from serving.status.waiting import waiting_since

PATIENCE_S = 3
_VIEWS = ("feed_status", "dirty_status", "outbox_status", "job_status", "routing_status")
_LEASES = (
    "select feed as lease, owner, nullif(heard_at, '-infinity') as heard_at, silent_s from leases"
    " where starts_with(feed, 'job/') order by feed"
)
# Rows by the names of their columns.
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Facts:
    """The state of all parts at one instant.

    Attributes:
        now: by PostgreSQL's clock, if it was reached.
        partitions: rows of the view ``feed_status``.
        dirty, jobs, routing: rows of the views ``dirty_status``, ``job_status`` and ``routing_status``.
        outbox: the row of ``outbox_status``; empty where PostgreSQL was not reached.
        leases: of jobs.
        topics: by feed; None for a topic that Kafka does not have. Empty where it was not reached.
        waiting: by feed and partition when Kafka received the first message that is not counted.
        unreached: for each server that did not answer the line that says why.
        prepared: whether ``bytemeter migrate`` was run.
    """

    now: dt.datetime
    partitions: Rows = field(default_factory=list)
    dirty: Rows = field(default_factory=list)
    outbox: dict[str, Any] = field(default_factory=dict)
    jobs: Rows = field(default_factory=list)
    routing: Rows = field(default_factory=list)
    leases: Rows = field(default_factory=list)
    topics: Mapping[str, Topic | None] = field(default_factory=dict)
    waiting: Mapping[tuple[str, int], dt.datetime] = field(default_factory=dict)
    unreached: list[str] = field(default_factory=list)
    prepared: bool = True

    def lag(self, row: Mapping[str, Any]) -> int:
        """How many messages of a partition wait: as Kafka says, or else as it said last."""
        topic = self.topics.get(row["feed"])
        if topic is None or row["next_offset"] is None:
            return int(row["lag"] or 0)
        return max(topic.latest.get(row["partition"], 0) - int(row["next_offset"]), 0)


def read_facts(settings: Settings) -> Facts:
    """Ask PostgreSQL and Kafka at the same time; a server that is away becomes a line of the answer."""
    with ThreadPoolExecutor(2) as pool:
        stored, topics = pool.submit(_stored, settings), pool.submit(_topics, settings)
        unreached: list[str] = []
        known = _result(stored, unreached) or {"now": dt.datetime.now(dt.UTC)}
        found = _result(topics, unreached) or {}
    facts = Facts(**known, topics=found, unreached=unreached)
    behind = {
        (row["feed"], row["partition"]): row["next_offset"]
        for row in facts.partitions
        if row["next_offset"] is not None and facts.topics.get(row["feed"]) is not None and facts.lag(row)
    }
    waiting = waiting_since(Kafka(settings), found, behind, within_s=PATIENCE_S) if behind else {}
    return Facts(**known, topics=found, unreached=unreached, waiting=waiting)


def _result(future: Future[Any], unreached: list[str]) -> Any:
    try:
        return future.result()
    except BytemeterError as error:
        unreached.append(str(error))
        return None


def _stored(settings: Settings) -> dict[str, Any]:
    """What the views say, in one snapshot."""
    engine = database(settings.require_database_url(), patience_s=PATIENCE_S)
    with one_line_errors(engine.url), engine.connect() as connection:
        connection.execute(text("set transaction isolation level repeatable read, read only"))
        now = connection.scalars(text("select now()")).one()
        if not connection.scalar(text("select to_regclass('routing_status') is not null")):
            return {"now": now, "prepared": False}
        feeds, dirty, outbox, jobs, routing = (
            [dict(row) for row in connection.execute(text(f"select * from {view} order by 1, 2")).mappings()]  # noqa: S608
            for view in _VIEWS
        )
        leases = [dict(row) for row in connection.execute(text(_LEASES)).mappings()]
    found = {"partitions": feeds, "dirty": dirty, "outbox": outbox[0], "jobs": jobs, "routing": routing}
    return {"now": now, **found, "leases": leases}


def _topics(settings: Settings) -> dict[str, Topic | None]:
    kafka = Kafka(settings, PATIENCE_S)
    return {name: kafka.describe(kafka.topic_name(feed.topic)) for name, feed in FEEDS.items()}
