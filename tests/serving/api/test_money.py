"""Money by HTTP: seed 002's routes, and usage in months of the billing zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine, text

from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.builders import utc

KOLKATA = ZoneInfo("Asia/Kolkata")
NOVEMBER = utc("2025-10-31T18:30:00")
TOTALS = [
    ("customer", "Emma", "100.005"),
    ("customer", "a/b%", "-0.015"),
    ("type", "CALL", "99.99"),
    ("customer_type", "Emma/CALL", "100.005"),
]


@pytest.fixture(scope="module")
def bills(shared_engine: Engine) -> None:
    """November 2025 is recomputed but for what came for CALL; this month has one event of Emma."""
    this = dt.datetime.now(KOLKATA).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    live = [{"month": NOVEMBER, "dimension": d, "id": i, "total": t} for d, i, t in TOTALS]
    insert = "insert into {} values (:month, :dimension, :id, :total)"
    with shared_engine.begin() as connection:
        connection.execute(text("insert into billing_zone (zone) values ('Asia/Kolkata')"))
        connection.execute(text(insert.format("billable_recomputed")), live)
        connection.execute(text(insert.format("billable_monthly")), live)
        connection.execute(text("update billable_monthly set total = 199.99 where dimension = 'type'"))
        connection.execute(
            text(insert.format("billable_monthly")),
            [{"month": this, "dimension": "customer", "id": "Emma", "total": "1"}],
        )
        connection.execute(
            text("insert into billable_recomputes values (:month, :at, 0)"),
            [{"month": NOVEMBER, "at": utc("2025-12-02")}],
        )
        connection.execute(
            text("insert into ledger (feed, partition, topic_id, next_offset) values ('billable-events', 0, 't', 0)")
        )


@pytest.fixture(scope="module")
def api(shared: Settings, bills: None) -> Iterator[httpx.Client]:
    with serving(shared) as url, httpx.Client(base_url=url) as client:
        yield client


def test_a_customer_and_a_type_have_their_money_of_a_month_rounded_once_and_exact(api: httpx.Client) -> None:
    emma = api.get("/customers/Emma", params={"month": "2025-11"}).json()
    assert emma.pop("as_of") is not None
    assert emma == {
        "customer": "Emma",
        "month": "2025-11",
        "totalEur": "100.00",
        "exactEur": "100.005",
        "rounding": "-0.005",
    }
    running = api.get("/customers/Emma").json()
    assert (running["month"], running["totalEur"]) == (f"{dt.datetime.now(KOLKATA):%Y-%m}", "1.00")
    assert api.get("/customers/a%2Fb%25", params={"month": "2025-11"}).json()["totalEur"] == "-0.02"
    assert api.get("/customers/Emma", params={"month": "2025-10"}).json()["totalEur"] == "0.00"
    assert api.get("/types/CALL", params={"month": "2025-11"}).json()["totalEur"] == "199.99"
    assert api.get("/types/MESSAGE").json()["totalEur"] == "0.00"


@pytest.mark.parametrize(
    ("path", "name"), [("/customers/Nobody", "customer"), ("/types/GIFT", "type"), ("/customers/%00", "customer")]
)
def test_who_is_unknown_is_told_so(api: httpx.Client, path: str, name: str) -> None:
    answer = api.get(path)
    assert (answer.status_code, answer.json()["name"]) == (404, name)
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("month", ["2025-13", "11-2025", "2025-11-01", "", "٢٠٢٥-11"])
def test_a_month_that_is_none_is_refused(api: httpx.Client, month: str) -> None:
    answer = api.get("/customers/Emma", params={"month": month})
    assert (answer.status_code, answer.json()["name"]) == (400, "month")


def test_usage_in_money_is_of_billing_months_and_says_what_was_recomputed(api: httpx.Client) -> None:
    asked = {"feed": "billable-events", "dimension": "customer", "from": "2025-11-01", "to": "2025-12-01", "limit": "1"}
    first = api.get("/v1/usage", params=asked).json()
    second = api.get("/v1/usage", params={**asked, "cursor": first["next"]}).json()
    assert [*first["rows"], *second["rows"]] == [
        {
            "type": "customer",
            "id": id_,
            "timestamp": "2025-11-01T00:00:00+05:30",
            "value": value,
            "source": "batch",
            "final": True,
        }
        for id_, value in (("Emma", "100.005"), ("a/b%", "-0.015"))
    ]
    assert second["next"] is None
    (call,) = api.get("/v1/usage", params={**asked, "dimension": "type"}).json()["rows"]
    assert (call["value"], call["source"], call["final"]) == ("199.99", "live", False)
    for changes, name in (({"window": "1h"}, "window"), ({"zone": "UTC"}, "zone"), ({"dimension": "app"}, "dimension")):
        answer = api.get("/v1/usage", params={**asked, **changes})
        assert (answer.status_code, answer.json()["name"]) == (400, name)


def test_a_key_of_a_customer_sees_its_own_bill_alone(shared: Settings, bills: None, tmp_path: Path) -> None:
    with serving(shared, keys=keys_file(tmp_path, {"own": "billing customer=a%2Fb%25"})) as url:
        with httpx.Client(base_url=url, headers={"Authorization": "Bearer own"}) as api:
            assert api.get("/customers/a%2Fb%25").status_code == 200
            hidden, unknown = api.get("/customers/Emma"), api.get("/customers/Anna")
            assert (hidden.status_code, hidden.text) == (404, unknown.text.replace("Anna", "Emma"))
            asked = {"feed": "billable-events", "dimension": "customer"}
            assert api.get("/types/CALL").status_code == 403
            assert api.get("/v1/usage", params={**asked, "id": "a/b%", "from": "2025-10-01"}).json()["rows"]
            others: list[dict[str, str]] = [
                {},
                {"id": "Emma"},
                {"dimension": "type", "id": "CALL"},
                {"dimension": "customer_type", "id": "a/b%"},
            ]
            assert {api.get("/v1/usage", params={**asked, **other}).status_code for other in others} == {403}
