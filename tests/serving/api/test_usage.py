"""Totals by HTTP are those of plain Python over the same figures, in each window and several zones, page by page."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import Engine

from tests.seeds import SEED
from tests.serving.api.conftest import APPS, HOUR, Figures

ASKED = {"feed": "devices", "dimension": "app", "from": "2026-10-20T00:00:00Z", "to": "2026-11-03T00:00:00Z"}


@pytest.fixture(scope="module")
def figures(shared_engine: Engine) -> Figures:
    """Figures in the module's database."""
    drawn = Figures.drawn(SEED)
    with shared_engine.begin() as connection:
        drawn.write(connection)
    return drawn


@pytest.fixture(scope="module")
def api(shared_api: httpx.Client, figures: Figures) -> httpx.Client:
    """All tests of this module only read."""
    return shared_api


def label(at: dt.datetime, window: str, zone: str) -> str:
    """The start of the window of an instant, as the clock of the zone shows it."""
    local = at.astimezone(ZoneInfo(zone))
    if window == "5m":
        return local.isoformat()
    if window == "1h":
        return local.replace(minute=0).isoformat()
    midnight = local.replace(hour=0, minute=0, fold=0)
    start = midnight if window == "1d" else midnight.replace(day=1)
    return start.astimezone(dt.UTC).astimezone(ZoneInfo(zone)).isoformat()


def expected(figures: Figures, window: str, zone: str) -> dict[tuple[str, str], tuple[int, str, bool]]:
    """By start and app: value, source, final. An hour that lies in one window is taken from the batch view, once it is there."""
    labels: dict[dt.datetime, set[str]] = {}
    for at, _ in figures.live:
        labels.setdefault(at.replace(minute=0), set()).update(
            label(at.replace(minute=0) + number * HOUR / 12, window, zone) for number in range(12)
        )
    values: dict[tuple[str, str], int] = {}
    live, dirty = set(), set()
    for (at, app), value in figures.live.items():
        hour, start = at.replace(minute=0), label(at, window, zone)
        if hour in figures.dirty or len(labels[hour]) > 1:
            values[start, app] = values.get((start, app), 0) + value
    for (hour, app), value in figures.batch.items():
        if len(labels[hour]) == 1:
            start = label(hour, window, zone)
            values[start, app] = values.get((start, app), 0) + value
    for hour, starts in labels.items():
        live |= starts if hour in figures.dirty or len(starts) > 1 else set()
        dirty |= starts if hour in figures.dirty else set()
    if window == "5m":
        live = {start for starts in labels.values() for start in starts}
    return {
        (start, app): (value, "live" if start in live else "batch", start not in dirty)
        for (start, app), value in values.items()
    }


def pages(api: httpx.Client, **parameters: Any) -> list[dict[str, Any]]:
    """The rows of all pages."""
    rows: list[dict[str, Any]] = []
    cursor: dict[str, str] = {}
    while True:
        answer = api.get("/v1/usage", params={**ASKED, **parameters, **cursor})
        assert answer.status_code == 200, answer.text
        assert answer.json()["as_of"] is not None
        rows += answer.json()["rows"]
        if answer.json()["next"] is None:
            return rows
        cursor = {"cursor": answer.json()["next"]}


def test_each_window_in_each_zone_equals_plain_python(api: httpx.Client, figures: Figures) -> None:
    for zone in ("UTC", "Asia/Kolkata", "Europe/Warsaw", "America/New_York"):
        for window in ("5m", "1h", "1d", "1mo"):
            # Windows that begin before `from` are not shown: it is the start of a month in each zone.
            since = "2026-09-30" if window != "5m" else ASKED["from"]
            rows = pages(api, zone=zone, window=window, limit=5_000, **{"from": since})
            found = {(row["timestamp"], row["id"]): (row["value"], row["source"], row["final"]) for row in rows}
            assert found == expected(figures, window, zone), (zone, window)
            keys = [(dt.datetime.fromisoformat(row["timestamp"]), row["id"].encode()) for row in rows]
            assert keys == sorted(set(keys))


def test_an_hour_that_comes_twice_is_two_hours(api: httpx.Client, figures: Figures) -> None:
    rows = pages(api, zone="Europe/Warsaw", **{"from": "2026-10-25T02:00:00+02:00", "to": "2026-10-25T04:00:00+01:00"})
    starts = list(dict.fromkeys(row["timestamp"] for row in rows))
    assert starts == ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00"]


@pytest.mark.parametrize("window", ["5m", "1h", "1d", "1mo"])
def test_pages_of_any_size_together_are_the_whole(api: httpx.Client, figures: Figures, window: str) -> None:
    wanted = pages(api, window=window, limit=10_000)
    assert wanted or window == "1mo"
    assert pages(api, window=window, limit=max(len(wanted) // 7, 1)) == wanted
    if window == "1d":
        assert pages(api, window=window, limit=1) == wanted


@pytest.mark.parametrize("app", APPS)
def test_one_id_is_read_alone_whatever_it_is(api: httpx.Client, figures: Figures, app: str) -> None:
    rows = pages(api, window="1d", id=app)
    assert rows == [row for row in pages(api, window="1d") if row["id"] == app]
    assert rows


def test_csv_has_the_same_rows_and_no_formulas(api: httpx.Client, figures: Figures) -> None:
    answer = api.get("/v1/usage", params={**ASKED, "format": "csv", "window": "1d", "limit": 9})
    wanted = api.get("/v1/usage", params={**ASKED, "window": "1d", "limit": 9}).json()
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert answer.headers["Bytemeter-Next"] == wanted["next"]
    read = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["id"].removeprefix("'") for row in read] == [row["id"] for row in wanted["rows"]]
    assert [int(row["value"]) for row in read] == [row["value"] for row in wanted["rows"]]
    assert {row["id"] for row in read if "1+1" in row["id"]} == {"'=1+1"}
    assert {row["final"] for row in read} <= {"true", "false"}


BAD = [
    ({"feed": None}, "feed", "one of devices"),
    ({"feed": "phones"}, "feed", "one of devices"),
    ({"feed": "agreements"}, "feed", "one of devices"),
    ({"dimension": None}, "dimension", "antenna_bytes_total"),
    ({"dimension": "event_type"}, "dimension", "antenna_bytes_total"),
    ({"window": "2h"}, "window", "one of 5m, 1h, 1d, 1mo"),
    ({"zone": "Mars/Olympus"}, "zone", "IANA time zone"),
    ({"zone": "../../etc/passwd"}, "zone", "IANA time zone"),
    ({"from": "yesterday"}, "from", "ISO 8601"),
    ({"from": "1999-12-31"}, "from", "2000 to 2199"),
    ({"to": "9999-12-31T23:59:59-12:00"}, "to", "2000 to 2199"),
    ({"from": "2026-11-04"}, "from", "not after `to`"),
    ({"from": "2024-01-01"}, "from", "at most 366 days before `to`"),
    ({"window": "5m", "from": "2026-09-01"}, "from", "at most 31 days"),
    ({"limit": "0"}, "limit", "from 1 to 10000"),
    ({"limit": "10001"}, "limit", "from 1 to 10000"),
    ({"limit": "1e3"}, "limit", "from 1 to 10000"),
    ({"limit": "٣"}, "limit", "from 1 to 10000"),
    ({"cursor": "rubbish!"}, "cursor", "`next`"),
    ({"cursor": "W10"}, "cursor", "`next`"),
    ({"id": "a\0b"}, "id", "NUL"),
    ({"id": "x" * 1_025}, "id", "1 to 1024 characters"),
    ({"id": ""}, "id", "1 to 1024 characters"),
    ({"format": "xml"}, "format", "one of json, csv"),
    (
        {"dimension": "email", "window": "5m"},
        "window",
        "one of 1h, 1d, 1mo: totals of email are recomputed by the hour",
    ),
    ({"dimension": "email", "zone": "Asia/Kolkata"}, "zone", "whole hours from UTC"),
    # Its clock is half an hour behind that in winter.
    ({"dimension": "email", "zone": "Australia/Lord_Howe", "from": "2026-09-20"}, "zone", "whole hours from UTC"),
    ({"fields": "all"}, "the query's parameter", "cursor, dimension"),
]


def test_what_a_parameter_cannot_be_is_refused_with_its_name_value_and_what_is_allowed(api: httpx.Client) -> None:
    for changes, name, wanted in BAD:
        parameters = {key: value for key, value in {**ASKED, **changes}.items() if value is not None}
        answer = api.get("/v1/usage", params=parameters)
        assert answer.status_code == 400, (changes, answer.text)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["name"], wanted in problem["expected"]) == (name, True), (changes, problem)
        if (given := changes.get(name)) and name != "from":
            assert given.startswith(problem["value"].rstrip("…"))
    twice = api.get("/v1/usage?feed=devices&feed=game-events&dimension=app")
    assert (twice.status_code, twice.json()["name"]) == (400, "feed")


def test_sql_in_an_id_is_an_id(api: httpx.Client, figures: Figures) -> None:
    for id_ in ("' or 1=1 --", "%", "\\", "{}", ":id", "$1"):
        assert pages(api, id=id_, window="1d") == []
    assert pages(api, window="1d")
