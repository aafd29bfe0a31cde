"""A subscriber's billing period by HTTP, and who may see it."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine, text

from bytemeter.plans.events import EXCEEDED, REACHED
from bytemeter.plans.outbox import write
from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.builders import utc
from tests.serving.api.conftest import subscriber, threshold_event

WARSAW = ZoneInfo("Europe/Warsaw")
NOW = dt.datetime.now(WARSAW)
START = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
END = (START + dt.timedelta(days=40)).replace(day=1)


@pytest.fixture(scope="module")
def plans(shared_engine: Engine) -> None:
    """48 has used 600 of 1000 bytes in this month, and was over in last January; 49 has used nothing; 50 starts later."""
    with shared_engine.begin() as connection:
        subscriber(connection, "a", "48", zone="Europe/Warsaw")
        subscriber(connection, "b", "49", zone="Asia/Kolkata", anchor_day=31)
        subscriber(connection, "c", "50", start=utc("2100-01-01"))
        usage = """
        insert into data_plan_usage (agreement_id, period_start, period_end, year, month, total_recorded_bytes,
            latest_recorded_at, latest_internal_record_id, status, billing_period_time_zone,
            max_bytes_in_billing_period, thresholds)
        values ('a', :start, :end, :year, :month, :total, :latest, 'i', :status, 'Europe/Warsaw', 1000, '{50,80,100}')
        on conflict (agreement_id, period_start) do update set
            total_recorded_bytes = excluded.total_recorded_bytes, latest_recorded_at = excluded.latest_recorded_at
        """
        january = {"start": utc("2025-12-31T23:00:00"), "end": utc("2026-01-31T23:00:00"), "year": 2026, "month": 1}
        this = {"start": START, "end": END, "year": START.year, "month": START.month}
        connection.execute(text(usage), [
            {**january, "total": 1_200, "latest": utc("2026-01-20"), "status": "closed"},
            {**this, "total": 600, "latest": NOW, "status": "open"},
        ])  # fmt: skip
        write(connection, [
            threshold_event("a", START, REACHED, percent=50, total=510, at=START + (NOW - START) / 2),
            threshold_event("a", january["start"], EXCEEDED, percent=100, total=1_000, at=utc("2026-01-19")),
        ], source="live")  # fmt: skip
        connection.execute(
            text("insert into ledger (feed, partition, topic_id, next_offset) values ('data-records', 0, 't', 0)")
        )


@pytest.fixture(scope="module")
def api(shared_api: httpx.Client) -> httpx.Client:
    """All tests of this module only read."""
    return shared_api


def plan(api: httpx.Client, msisdn: str, **parameters: str) -> dict[str, Any]:
    answer = api.get(f"/v1/data-plans/{msisdn}", params=parameters)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def test_a_running_period_says_what_is_used_and_left_and_when_it_runs_out(api: httpx.Client, plans: None) -> None:
    found = plan(api, "48")
    assert (found["used"], found["limit"], found["left"], found["final"]) == (600, 1_000, 400, False)
    assert found["as_of"] is not None
    assert found["period"] == {
        "start": START.isoformat(), "end": END.isoformat(), "year": START.year, "month": START.month, "status": "open",
    }  # fmt: skip
    assert [(t["percent"], t["bytes"], t["reached"]) for t in found["thresholds"]] == [
        (50, 500, True), (80, 800, False), (100, 1_000, False),
    ]  # fmt: skip
    assert found["thresholds"][0]["crossed_at"] == (START + (NOW - START) / 2).isoformat()
    projection = found["projection"]
    passed = dt.datetime.now(dt.UTC) - START
    runs_out = START + passed * 1_000 / 600
    if runs_out < END:
        assert abs(dt.datetime.fromisoformat(projection["runs_out_at"]) - runs_out) < dt.timedelta(minutes=5)
        assert projection["earliest"] < projection["runs_out_at"]
    else:
        assert projection["runs_out_at"] is None
    assert abs(projection["used_at_end"] - 600 * ((END - START) / passed)) < 2
    assert projection["used_at_end_least"] <= projection["used_at_end"] <= projection["used_at_end_most"]


def test_a_closed_period_is_final_and_projects_nothing(api: httpx.Client, plans: None) -> None:
    found = plan(api, "48", at="2026-01-31T23:30:00", zone="Europe/Warsaw")
    assert found["period"]["start"] == "2026-01-01T00:00:00+01:00"
    assert (found["used"], found["left"], found["final"], found["projection"]) == (1_200, 0, True, None)
    assert [t["reached"] for t in found["thresholds"]] == [True, True, True]
    assert found["thresholds"][2]["crossed_at"] == "2026-01-19T01:00:00+01:00"


def test_a_period_without_records_is_the_one_of_the_agreements_clock(api: httpx.Client, plans: None) -> None:
    found = plan(api, "49", at="2026-02-27T18:30:00Z")
    # The 31st is the last day of a shorter month.
    assert (found["period"]["start"], found["period"]["end"]) == (
        "2026-02-28T00:00:00+05:30",
        "2026-03-31T00:00:00+05:30",
    )
    assert (found["used"], found["latest_recorded_at"], found["projection"]) == (0, None, None)
    assert not any(t["reached"] for t in found["thresholds"])


@pytest.mark.parametrize("msisdn", ["47", "50", "4'8", "4%008", "%F0%9F%92%A9", "x" * 500])
def test_an_msisdn_without_an_agreement_now_is_unknown(api: httpx.Client, plans: None, msisdn: str) -> None:
    answer = api.get(f"/v1/data-plans/{msisdn}")
    assert (answer.status_code, answer.json()["name"]) == (404, "msisdn")


def test_a_key_sees_what_its_scopes_say_and_a_bound_one_nothing_else(
    shared: Settings, plans: None, tmp_path: Path
) -> None:
    grants = {
        "all": "subscribers",
        "own": "subscribers msisdn=49",
        "network": "network",
        "shop": "billing customer=Emma",
    }
    with serving(shared, keys=keys_file(tmp_path, grants)) as url, httpx.Client(base_url=url) as api:

        def ask(key: str, path: str) -> httpx.Response:
            return api.get(path, headers={"Authorization": f"Bearer {key}"})

        assert ask("all", "/v1/data-plans/48").status_code == 200
        assert ask("own", "/v1/data-plans/49").status_code == 200
        # The same answer as for one that does not exist, but for its number.
        hidden, unknown = ask("own", "/v1/data-plans/48"), ask("own", "/v1/data-plans/47")
        assert (hidden.status_code, hidden.text) == (404, unknown.text.replace("47", "48"))
        assert len(ask("all", "/v1/threshold-events").json()["rows"]) == 2
        for path in ("/v1/threshold-events", "/v1/threshold-events?msisdn=48", "/v1/threshold-events?agreement=a"):
            assert ask("own", path).json()["rows"] == []
        usage = "/v1/usage?feed=devices&dimension=app"
        for key, path in (
            ("network", "/v1/data-plans/48"),
            ("network", "/v1/threshold-events/stream"),
            ("all", usage),
            ("shop", usage),
        ):
            assert ask(key, path).status_code == 403, (key, path)
        assert ask("network", usage).status_code == 200
        wrong = [ask("other", path) for path in ("/v1/data-plans/48", usage, "/v1/threshold-events/stream")]
        assert {answer.status_code for answer in [*wrong, api.get("/v1/data-plans/48")]} == {401}
        assert {api.get(path).status_code for path in ("/health", "/ready", "/metrics", "/docs", "/openapi.json")} == {
            200
        }


def test_a_client_that_asks_too_often_is_told_when_to_ask_again(shared: Settings) -> None:
    slow = shared.model_copy(update={"api_requests_per_s": 2.0})
    with serving(slow) as url:
        answers = [httpx.get(f"{url}/v1/data-plans/47") for _ in range(6)]
    assert {answer.status_code for answer in answers[:4]} == {404}
    late = next(answer for answer in answers if answer.status_code == 429)
    assert late.headers["Retry-After"] == "1"
