"""Totals by HTTP while they change: one moment in each answer; and totals that only recomputes change."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor

import httpx
from sqlalchemy import Engine, text

from tests.serving.api.conftest import Figures
from tests.serving.api.test_usage import ASKED


def test_totals_by_email_are_those_of_recomputes(api: httpx.Client, engine: Engine) -> None:
    hours = [f"2026-10-21T{hour}:00:00+00:00" for hour in ("08", "09", "10")]
    with engine.begin() as connection:
        connection.execute(
            text("insert into hours (feed, hour, version, recomputed_version) values ('devices', :hour, 2, :seen)"),
            # All of its records are recomputed, some of them, and none.
            [{"hour": hour, "seen": seen} for hour, seen in zip(hours, (2, 1, None), strict=True)],
        )
        connection.execute(
            text("insert into bytes_hourly values ('email_bytes_total', 'ann@example.com', :hour, :value)"),
            [{"hour": hours[0], "value": 5}, {"hour": hours[1], "value": 7}],
        )
    for dimension, window, zone, wanted in (
        ("email", "1h", "UTC", [(hours[0], 5, True), (hours[1], 7, False)]),
        ("email_bytes_total", "1d", "Europe/Warsaw", [("2026-10-21T00:00:00+02:00", 12, False)]),
        ("email", "1d", "Australia/Lord_Howe", [("2026-10-21T00:00:00+11:00", 12, False)]),
    ):
        asked = {**ASKED, "dimension": dimension, "window": window, "zone": zone}
        answer = api.get("/v1/usage", params=asked).json()
        assert [(row["timestamp"], row["value"], row["final"]) for row in answer["rows"]] == wanted
        assert {(row["type"], row["id"], row["source"]) for row in answer["rows"]} == {
            ("email_bytes_total", "ann@example.com", "batch")
        }


def test_an_answer_never_mixes_two_moments(api: httpx.Client, figures: Figures, engine: Engine) -> None:
    # In one transaction as much is added to a total of the first day as is taken from one of the last: an answer reads
    # them by several statements.
    first, last = dt.datetime(2026, 10, 21, tzinfo=dt.UTC), dt.datetime(2026, 11, 2, tzinfo=dt.UTC)
    moving = threading.Event()

    def move() -> None:
        while not moving.is_set():
            with engine.begin() as connection:
                for at, change in ((first, 1_000), (last, -1_000)):
                    connection.execute(
                        text("update bytes set value = value + :change where id = 'both' and timestamp = :at"),
                        {"change": change, "at": at},
                    )
            connection.close()

    with engine.begin() as connection:
        connection.execute(
            text("insert into bytes values ('user_bytes_total', 'both', :at, 1000000000)"),
            [{"at": first}, {"at": last}],
        )
        connection.execute(text("update hours set recomputed_version = null"))
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(move)
        try:
            answers = [
                api.get("/v1/usage", params={**ASKED, "dimension": "user", "window": "1h"}).json() for _ in range(40)
            ]
        finally:
            moving.set()
        running.result()
    values = [[row["value"] for row in answer["rows"]] for answer in answers]
    assert {sum(pair) for pair in values} == {2_000_000_000}
    assert len({pair[0] for pair in values}) > 1
