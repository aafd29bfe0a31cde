"""The dashboards in a real Superset and a real browser: all charts show data, with the figures of PostgreSQL."""

from __future__ import annotations

import datetime as dt
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, BILLABLE_EVENTS, DATA_RECORDS, DEVICES, GAME_EVENTS, TELEMETRY
from bytemeter.kafka import Kafka
from bytemeter.logs import logger
from bytemeter.settings import Settings
from embedded.home import free_port, listens
from serving.dashboards import ASSETS, SLUGS, SupersetClient
from simulator.agreements import AgreementSimulation
from simulator.billable_events import BillableEventSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.producer import producer, send
from simulator.telemetry import Shares, TelemetrySimulation
from simulator.traffic import DAY_S, Traffic
from tests.builders import agreement, record
from tests.commands import endpoints
from tests.integration.browser import Browser, Dashboard, browser
from tests.messages import game_event
from tests.telemetry import create_topics
from tests.telemetry_events import EDATA, event

Rows = Callable[..., list[tuple[Any, ...]]]
SUBSCRIBERS, DAYS = 60, 45
HOUR_S = 3_600
GAME = ("default", "purchase_sword", "join_guild", "purchase_knife")
KINDS = ("dashboard", "chart", "dataset", "database")
INSTALLED_WITHIN_S = 900


@pytest.fixture
def filled(
    place: Settings,
    simulate: Callable[..., Any],
    put: Callable[..., None],
    stream: Callable[..., None],
    recompute: Callable[..., object],
    rows: Rows,
    monthly_job: Callable[..., MonthlyJob],
) -> None:
    """Figures of all kinds: hours from batch and live, plans over their limit, periods closed, bad records, bills, apps."""
    rows("update user_metadata set quota = quota / 100 returning id")
    kafka, now = Kafka(place), time.time()
    to = producer(kafka.librdkafka())
    past = Traffic(now - 20 * HOUR_S, rate=0.4, records=20_000, duplicates=0.02, invalid=0.02)
    send(to, kafka.topic_name("devices"), DeviceSimulation(past).pieces())
    stream()
    recompute()
    simulate(12_000, late=0.02, duplicates=0.02, invalid=0.02)
    agreements = AgreementSimulation(SUBSCRIBERS, 7, dt.datetime.fromtimestamp(now - 365 * DAY_S, dt.UTC), now)
    span = DAYS * DAY_S
    records = 75 * SUBSCRIBERS
    traffic = Traffic(now - span, rate=records / span, records=records, subscribers=SUBSCRIBERS, invalid=0.01)
    send(to, kafka.topic_name("agreements"), agreements.pieces())
    send(to, kafka.topic_name("data-records"), DataRecordSimulation(traffic).pieces())
    at = dt.datetime.fromtimestamp(now, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    put([agreement()], topic="agreements")
    put([record("over the limit", 1_200, at)], topic="data-records")
    chance, half_a_day = random.Random(7), 12 * HOUR_S
    played = [
        (chance.choices(GAME, (5, 2, 1, 2))[0], int(now - half_a_day * chance.random() ** 2)) for _ in range(1_500)
    ]
    put([game_event(event_type=type_, timestamp=at_s) for type_, at_s in played], topic="game-events")
    create_topics(place)
    put([*learned(now), b"{}"], topic="telemetry.raw")
    billed = Traffic(now - DAY_S / 2, rate=0.02, records=800, subscribers=10, duplicates=0.02)
    send(to, kafka.topic_name("billable-events"), BillableEventSimulation(billed).pieces())
    stream(BILLABLE_EVENTS)
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    monthly_job(Month(today.year, today.month), today).run()
    stream(DEVICES, AGREEMENTS, DATA_RECORDS, GAME_EVENTS, TELEMETRY, history=False)


def learned(now: float) -> Iterator[bytes]:
    """Events of the last hours of 30 devices, as collectors' batches have them, and one of each kind."""
    past = Traffic(now - 5 * HOUR_S, rate=0.04, records=700, depth=0, subscribers=30, duplicates=0.01, invalid=0.01)
    for _, messages in TelemetrySimulation(past, Shares(unknown=0.005)).pieces():
        for message in messages:
            yield from map(msgspec.json.encode, msgspec.json.decode(message["value"] or b"")["events"])
    for eid in EDATA:
        yield event(eid, f"m-{eid}", ets=int(1_000 * now), object={"id": "do_1", "type": "Content"})


@pytest.fixture
def superset(place: Settings, tmp_path: Path) -> Iterator[SupersetClient]:
    """The dashboards as the command serves them until Ctrl-C; imported twice."""
    port, printed = free_port(), tmp_path / "output"
    command = [sys.executable, "-u", "-m", "cli", *endpoints(place), "dashboards", "--port", str(port)]
    with printed.open("w") as output:
        serving = subprocess.Popen(
            command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        deadline = time.monotonic() + INSTALLED_WITHIN_S
        while "Ctrl-C ends it" not in printed.read_text():
            assert serving.poll() is None, printed.read_text()
            assert time.monotonic() < deadline, printed.read_text()
            time.sleep(0.2)
        again = subprocess.run(command, capture_output=True, text=True, check=False)
        assert again.returncode == 0, again.stderr
        line = re.search(r"dashboards  (\S+) \(user (\S+), password (\S+)\)", printed.read_text())
        assert line, printed.read_text()
        yield SupersetClient(*line.groups())
    finally:
        for ending in (signal.SIGTERM, signal.SIGINT, signal.SIGINT):
            os.killpg(serving.pid, ending)
        assert serving.wait(60) == 0
        assert "Traceback" not in printed.read_text()
    assert not listens(port)


def test_each_dashboard_shows_the_figures_of_the_tables(
    filled: None, place: Settings, superset: SupersetClient, rows: Rows, request: pytest.FixtureRequest
) -> None:
    assert counts(superset) == {kind: len(list((ASSETS / f"{kind}s").rglob("*.yaml"))) for kind in KINDS}
    with browser(superset) as opened:
        seen = {slug: look(opened, slug, request.config.getoption("--pictures")) for slug in SLUGS}
    assert opened.complaints == []

    network, plans, health, telemetry = (seen[slug].charts for slug in SLUGS)
    ((bytes_of_day,),) = rows("select sum(bytes) from usage_by_antenna where timestamp > now() - interval '1 day'")
    assert bytes_in(network["Bytes in the chosen time"]["number"]) == pytest.approx(float(bytes_of_day), rel=0.01)
    sources = {row[4] for row in network["Busiest antenna of each hour"]["rows"]}
    assert sources == {"live", "batch"}
    ((billed,),) = rows(
        "select round_half_even(sum(total), 2) from billable_by_month where dimension = 'type' and running"
    )
    assert network["Euros billed this month"]["number"] == f"{billed:,.2f}"
    invoices = rows("select invoice, customer, state, total_eur from invoice_totals order by 1 desc")
    shown = [(row[0], row[1], row[2], row[5]) for row in network["Invoices and amendments"]["rows"]]
    assert shown == [(*names, f"{total:,.2f}") for *names, total in invoices] != []
    for chart, question in (
        ("Telemetry events", "select sum(events) from telemetry_events"),
        ("Sessions started", "select sum(started) from telemetry_sessions"),
        ("Active users of the last day", "select users from telemetry_active_users order by day desc limit 1"),
    ):
        ((figure,),) = rows(question)
        assert telemetry[chart]["number"] == str(figure), chart
    ((over,),) = rows("select count(*) from plan_progress where running and over")
    assert int(plans["Over their limit"]["number"]) == over > 0
    ((closed,),) = rows("select count(*) from threshold_events where type = 'BILLING_PERIOD_CLOSED'")
    assert int(plans["Periods closed"]["number"]) == closed > 0
    ((invalid,),) = rows("select sum(invalid) from ledger")
    assert int(health["Invalid records"]["number"].replace(",", "")) == invalid > 0
    account = rows(
        "select feed, sum(received), sum(counted), sum(duplicate), sum(invalid), sum(unmatched) from ledger group by feed"
    )
    shown = {row[0]: tuple(row[1:6]) for row in health[account_title(health)]["rows"]}
    assert shown == {feed: tuple(f"{figure:,}" for figure in figures) for feed, *figures in account}


def look(opened: Browser, slug: str, pictures: Path | None) -> Dashboard:
    """Open a dashboard and check that no chart is broken or empty."""
    picture = pictures / f"{slug}.png" if pictures else None
    dashboard = opened.look_at(f"{opened.superset.url}/superset/dashboard/{slug}/", picture)
    seconds = {tab: round(seconds, 1) for tab, seconds in dashboard.seconds.items()}
    logger().info("drawn", dashboard=slug, charts=len(dashboard.charts), seconds=seconds)
    wrong = {name: chart["error"] or chart["empty"] for name, chart in dashboard.charts.items()}
    assert {name: reason for name, reason in wrong.items() if reason} == {}
    assert all("Last queried at" in chart["whole"] for chart in dashboard.charts.values())
    return dashboard


def account_title(charts: dict[str, Any]) -> str:
    (title,) = (name for name in charts if name.startswith("The account"))
    return title


def bytes_in(text: str) -> float:
    """The bytes of a text such as 12.3MB."""
    match = re.fullmatch(r"([\d.,]+)\s*([kMGT]?)B", text)
    assert match, text
    return float(match[1].replace(",", "")) * {"": 1, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12}[match[2]]


def counts(superset: SupersetClient) -> dict[str, int]:
    """How many assets of each kind Superset has."""
    with httpx.Client(base_url=superset.url) as client:
        login = {"username": superset.user, "password": superset.password, "provider": "db"}
        token = client.post("/api/v1/security/login", json=login).json()["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return {kind: client.get(f"/api/v1/{kind}/", headers=headers).json()["count"] for kind in KINDS}
