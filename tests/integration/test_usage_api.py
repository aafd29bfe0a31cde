"""The usage API beside running queries and recomputes: its answers are those of plain Python over the messages on Kafka."""

from __future__ import annotations

import datetime as dt
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from batch_layer.hourly.store import Recomputed
from bytemeter.settings import Settings
from simulator.traffic import Sent
from tests.apis import serving
from tests.integration import oracle
from tests.serving.api.test_usage import label

ZONES = ("UTC", "Asia/Kolkata", "Europe/Warsaw")
Windows = dict[tuple[str, str], int]


@pytest.fixture
def api(place: Settings) -> Iterator[httpx.Client]:
    with serving(place.model_copy(update={"api_requests_per_s": 10_000.0})) as url:
        with httpx.Client(base_url=url, timeout=30) as client:
            yield client


def asked(api: httpx.Client, dimension: str, window: str, zone: str) -> tuple[Windows, set[str]]:
    """All totals of the last days by window and id, and where they come from."""
    now = dt.datetime.now(dt.UTC)
    parameters = {
        "feed": "devices", "dimension": dimension, "window": window, "zone": zone, "limit": "5000",
        "from": (now - dt.timedelta(days=1 if window == "5m" else 62)).isoformat(), "to": (now + dt.timedelta(days=1)).isoformat(),
    }  # fmt: skip
    found: Windows = {}
    sources: set[str] = set()
    while True:
        answer = api.get("/v1/usage", params=parameters)
        assert answer.status_code == 200, answer.text
        for row in answer.json()["rows"]:
            assert (row["timestamp"], row["id"]) not in found
            found[row["timestamp"], row["id"]] = row["value"]
            sources.add(row["source"])
        if answer.json()["next"] is None:
            return found, sources
        parameters["cursor"] = answer.json()["next"]


def wanted(truth: oracle.Truth, type_: str, window: str, zone: str) -> Windows:
    """The same of the messages."""
    totals: Windows = defaultdict(int)
    for (of, id_, start_s), value in truth.windows.items():
        if of == type_:
            totals[label(dt.datetime.fromtimestamp(start_s, dt.UTC), window, zone), id_] += value
    return dict(totals)


def test_answers_equal_plain_python_while_records_flow_and_after_recomputes(
    place: Settings,
    api: httpx.Client,
    engine: Engine,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    recompute: Callable[..., Recomputed],
) -> None:
    def compare() -> set[str]:
        truth, sources = oracle.truth(place, time.time()), set[str]()
        for type_ in oracle.TYPES:
            for zone in ZONES:
                for window in ("1h", "1d", "1mo") if zone != "UTC" else ("5m", "1h", "1d", "1mo"):
                    found, of = asked(api, type_, window, zone)
                    assert found == wanted(truth, type_, window, zone), (type_, window, zone)
                    sources |= of if window != "5m" else set()
        with engine.connect() as connection:
            view = "select type, id, timestamp, value, source from usage_hourly where type <> 'email_bytes_total'"
            rows = {(row.type, row.timestamp, row.id): row.value for row in connection.execute(text(view))}
        for type_ in oracle.TYPES:
            of_type = {(at.isoformat(), id_): value for (type__, at, id_), value in rows.items() if type__ == type_}
            assert asked(api, type_, "1h", "UTC")[0] == of_type
        return sources

    def watch(counting: Any) -> list[tuple[str, int]]:
        """What an answer says as of when, again and again."""
        seen = []
        while not counting.done():
            answer = api.get(
                "/v1/usage", params={"feed": "devices", "dimension": "app", "window": "1d", "zone": "Asia/Kolkata"}
            )
            assert answer.status_code == 200, answer.text
            seen.append((answer.json()["as_of"] or "", sum(row["value"] for row in answer.json()["rows"])))
        return seen

    simulate(3_000, duplicates=0.05, late=0.05, invalid=0.05)
    small = place.model_copy(update={"max_records_per_batch": 500})
    with ThreadPoolExecutor(1) as pool:
        counting = pool.submit(stream, settings=small)
        seen = watch(counting)
        counting.result()
    # As of a later moment never less, and as of the same moment the same.
    assert seen == sorted(seen)
    assert len(set(seen)) == len({as_of for as_of, _ in seen})
    assert compare() == {"live"}
    recompute()
    assert compare() == {"live", "batch"}
    simulate(1_000, late=0.2)
    stream()
    # Late records may have made all hours wait for a recompute again.
    assert "live" in compare()
