"""Unique events get their rows of the reference tables, on real servers: each once, with the rows as they are now."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pyspark.sql import SparkSession

from batch_layer.hourly.job import HourlyJob
from bytemeter.errors import TransientError
from bytemeter.feeds import TELEMETRY_DENORM, TELEMETRY_UNIQUE
from bytemeter.settings import Settings
from cli.main import main
from embedded.home import wait_until
from speed_layer.stream import Streams
from tests import networks, telemetry_events
from tests.commands import endpoints
from tests.histories import delta_table
from tests.integration import oracle
from tests.telemetry import create_topics

Rows = Callable[..., list[tuple[Any, ...]]]
NOW_MS = int(dt.datetime.now(dt.UTC).timestamp() * 1_000)


def event(mid: str, **changes: Any) -> bytes:
    base = {
        "ets": NOW_MS, "actor": {"id": "u", "type": "User"}, "context": {"channel": "c", "env": "e", "did": "d"},
        "syncts": NOW_MS,
    }  # fmt: skip
    return telemetry_events.event("IMPRESSION", mid, **(base | changes))


@pytest.fixture
def known(rows: Rows, place: Settings) -> None:
    """A device and a user are known; all topics are there."""
    create_topics(place)
    rows("""insert into reference_devices (id, data) values ('d', '{"state": "Kerala"}') returning id""")
    rows("""insert into reference_users (id, data) values ('u', '{"User_Type": "TEACHER"}') returning id""")


@pytest.fixture
def denormalised(place: Settings) -> Callable[[], dict[str, Any]]:
    """The committed events on ``telemetry.denorm`` by their mid; none is there twice."""

    def read() -> dict[str, Any]:
        events = [json.loads(message.value) for message in oracle.received(place, "telemetry.denorm")]
        by_mid = {found["mid"]: found for found in events}
        assert len(by_mid) == len(events)
        return by_mid

    return read


def test_events_are_enriched_once_counted_and_kept_and_others_go_where_they_belong(
    known: None,
    put: Callable[..., None],
    stream: Callable[..., None],
    denormalised: Callable[[], dict[str, Any]],
    place: Settings,
    hourly_job: Callable[..., HourlyJob],
    rows: Rows,
    capsys: pytest.CaptureFixture[str],
) -> None:
    old_ms = NOW_MS - 100 * 86_400_000
    put(
        [
            event("hit"),
            event("miss", context={"channel": "c", "did": "unknown"}, actor={"id": "unknown", "type": "User"}),
            event("hit"),
            event("old", ets=old_ms),
            event("skipped", eid="INTERRUPT"),
            event("skipped", eid="INTERRUPT"),
            b'{"eid": "START"}',
            event(
                "nul",
                object={"id": "c", "type": "Content", "rollup": {"l1": "a\u0000b"}},
                devicedata={"state": "forged"},
                context={},
            ),
        ],
        topic="telemetry.unique",
    )
    stream(TELEMETRY_UNIQUE)
    stream(TELEMETRY_DENORM)
    found = denormalised()
    assert set(found) == {"hit", "miss", "nul"}
    assert found["hit"]["devicedata"] == {"state": "Kerala"}
    assert found["hit"]["userdata"] == {"usertype": "TEACHER"}
    assert found["hit"]["derivedlocationdata"] == {"state": "Kerala", "district": None, "from": "ip-resolved"}
    assert set(found["miss"]["flags"].values()) == {False}
    assert "devicedata" not in found["nul"]
    repeated = oracle.received(place, "telemetry.duplicate")
    assert [json.loads(message.value)["flags"] for message in repeated] == [{"dv_duplicate": True}] * 2
    (failed,) = oracle.received(place, "telemetry.failed")
    assert json.loads(failed.value)["flags"] == {"dv_processed": False, "dv_validation_failed": True}
    account = rows(
        "select received, counted, duplicate, invalid from ledger where feed = 'telemetry-unique' and received > 0"
    )
    assert account == [(8, 5, 2, 1)]
    state = rows("select id, value from event_counts where feed = 'telemetry-denorm' and dimension = 'state'")
    assert state == [("Kerala", 1)]
    kept = delta_table(f"{place.history}/telemetry-denorm").to_pyarrow_table().to_pylist()
    assert {row["mid"]: json.loads(row["raw"]) for row in kept} == found
    question = """select mid from "telemetry-denorm" where raw->>'$.flags.device_denorm' = 'true'"""
    assert main([*endpoints(place), "sql", question, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"mid": "hit"}]
    for feed in (TELEMETRY_UNIQUE, TELEMETRY_DENORM):
        hourly_job(feed).run()
    differing = rows("""
        select * from (
            select feed, dimension, id, date_trunc('hour', timestamp) as hour, sum(value) as value
            from event_counts group by 1, 2, 3, 4
        ) as live full join event_counts_hourly as batch
            on (live.feed, live.dimension, live.id, live.hour) = (batch.feed, batch.dimension, batch.id, batch.timestamp)
        where live.value is distinct from batch.value
    """)
    assert differing == []


def test_a_reference_table_that_is_away_delays_events_and_loses_none(
    known: None,
    put: Callable[..., None],
    stream: Callable[..., None],
    denormalised: Callable[[], dict[str, Any]],
    rows: Rows,
) -> None:
    put([event("before")], topic="telemetry.unique")
    stream(TELEMETRY_UNIQUE, history=False)
    rows("do $$ begin alter table reference_users rename to away; end $$; select 1")
    put([event("meanwhile")], topic="telemetry.unique")
    with pytest.raises(TransientError, match="a reference table is missing: .*reference_users.*; events wait"):
        stream(TELEMETRY_UNIQUE, history=False)
    assert set(denormalised()) == {"before"}
    rows("do $$ begin alter table away rename to reference_users; end $$; select 1")
    put([event("after")], topic="telemetry.unique")
    stream(TELEMETRY_UNIQUE, history=False)
    assert {mid: found["userdata"]["usertype"] for mid, found in denormalised().items()} == dict.fromkeys(
        ("before", "meanwhile", "after"), "TEACHER"
    )


@pytest.fixture
def counting(spark: SparkSession, as_writer: Settings) -> Iterator[None]:
    """The live query runs until the test ends."""
    with networks.running(Streams(spark, as_writer, [TELEMETRY_UNIQUE], history=False)):
        yield


def test_a_row_that_changes_is_used_by_a_running_query_within_a_minute(
    known: None,
    counting: None,
    put: Callable[..., None],
    rows: Rows,
    denormalised: Callable[[], dict[str, Any]],
    place: Settings,
) -> None:
    def sent(count: int) -> Callable[[], bool]:
        return lambda: rows("select messages from routed_messages where topic = 'telemetry.denorm'") == [(count,)]

    put([event("first")], topic="telemetry.unique")
    wait_until(sent(1), what="the first event", log=place.home)
    rows("""update reference_users set data = '{"User_Type": "STUDENT"}' where id = 'u' returning id""")
    put([event("second")], topic="telemetry.unique")
    wait_until(sent(2), what="the second event", log=place.home)
    wait_until(lambda: len(denormalised()) == 2, what="the second event", log=place.home)
    types = {mid: found["userdata"]["usertype"] for mid, found in denormalised().items()}
    assert types == {"first": "TEACHER", "second": "STUDENT"}
