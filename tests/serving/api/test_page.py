"""The page in a real Chromium: figures, thresholds as they come, a subscriber's month; phone width, light and dark."""

from __future__ import annotations

import datetime as dt
import random
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect, sync_playwright
from sqlalchemy import Engine, text

from bytemeter.plans.events import EXCEEDED, REACHED, ThresholdEvent
from bytemeter.plans.outbox import write
from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.serving.api.conftest import FIVE_MINUTES, subscriber, threshold_event

NOW = dt.datetime.now(dt.UTC)
APPS = ("STREAM", "SKYPE", "MAIL", "MAPS", "CHAT", "GAMES", "BACKUP", "<b>x</b>")
START = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
GIB, LIMIT = 2**30, 5_000_000_000


@pytest.fixture
def network(engine: Engine) -> None:
    """A day of traffic until now, and a subscriber who has used 94 percent of a plan of 5 GB."""
    chance, rows = random.Random(7), []
    hour = NOW.replace(minute=0, second=0, microsecond=0)
    for number in range(24 * 12 + 11):
        at = hour - dt.timedelta(hours=24) + number * FIVE_MINUTES
        if at > NOW:
            break
        for place, app in enumerate(APPS):
            busy = 1.6 + (number % 36) / 36 if place < 3 else 1.0
            rows.append(
                {
                    "type": "app_bytes_total",
                    "id": app,
                    "at": at,
                    "value": int(GIB * busy * (1 + chance.random()) / (place + 1)),
                }
            )
        rows += [
            {
                "type": "antenna_bytes_total",
                "id": f"00000000-0000-0000-0000-{antenna:012d}",
                "at": at,
                # In any hour, however few windows it has yet, one with a higher number has more.
                "value": int(GIB * chance.uniform(0.95, 1) * antenna),
            }
            for antenna in range(1, 12)
        ]
    with engine.begin() as connection:
        connection.execute(text("insert into bytes values (:type, :id, :at, :value)"), rows)
        connection.execute(
            text("insert into hours (feed, hour) select distinct 'devices', date_trunc('hour', timestamp) from bytes")
        )
        for feed in ("devices", "data-records"):
            connection.execute(
                text("insert into ledger (feed, partition, topic_id, next_offset) values (:feed, 0, 't', 0)"),
                {"feed": feed},
            )
        for number in range(1, 30):
            subscriber(connection, f"a{number}", f"4891784{number:04d}", zone="Europe/Warsaw", limit=LIMIT)
        crossings = [(number, (50, 80, 100)[number % 3]) for number in range(2, 9)]
        write(connection, [crossing(f"a{number}", START, percent, NOW) for number, percent in crossings], source="live")
        statement = """
        update data_plan_usage set
            total_recorded_bytes = 4700000000, latest_recorded_at = now(), latest_internal_record_id = 'i'
        where agreement_id = 'a1' and period_start <= now() and period_end > now()
        returning period_start
        """
        (start,) = connection.scalars(text(statement))
        for percent, share in ((50, 0.6), (80, 0.8)):
            write(connection, [crossing("a1", start, percent, start + (NOW - start) * share)], source="live")


def crossing(agreement: str, start: dt.datetime, percent: int, at: dt.datetime) -> ThresholdEvent:
    type_ = EXCEEDED if percent == 100 else REACHED
    total = LIMIT * percent // 100 + 12_345_678
    return threshold_event(agreement, start, type_, percent=percent, total=total, at=at, limit=LIMIT)


@contextmanager
def opened(url: str, *, width: int = 1_200, dark: bool = False) -> Iterator[tuple[Page, list[str]]]:
    """The page, with all that goes wrong in it."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium on the PATH; install one, e.g. apt install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = chromium.new_context(
            locale="en-US", timezone_id="UTC", color_scheme="dark" if dark else "light", reduced_motion="reduce",
            viewport={"width": width, "height": 900},
        )  # fmt: skip
        page, complaints = context.new_page(), list[str]()
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on(
            "request",
            lambda request: complaints.append(f"calls {request.url}") if not request.url.startswith(url) else None,
        )
        page.goto(url)
        yield page, complaints
        chromium.close()


def test_the_page_shows_traffic_thresholds_and_a_month(
    stored: Settings, engine: Engine, network: None, pictures: Path
) -> None:
    with serving(stored) as url, opened(url) as (page, complaints):
        expect(page.locator("#as-of.up")).to_contain_text("as of")
        expect(page.locator("#rate")).to_contain_text(
            "GB/s" if page.locator("#rate").inner_text().endswith("GB/s") else "B/s"
        )
        assert page.locator("#traffic rect").count() > 150
        expect(page.locator("#apps li")).to_have_count(7)
        expect(page.locator("#antennas li").first).to_contain_text("00000011")
        expect(page.locator("#events li")).to_have_count(9)
        # An event appears as it is committed.
        with engine.begin() as connection:
            write(connection, [crossing("a9", START, 100, NOW)], source="live")
        expect(page.locator("#events li").first).to_contain_text("48917840009")
        expect(page.locator("#crossed")).to_have_text("1")
        page.locator("#msisdn").fill("+48917840001")
        page.locator("#ask button").click()
        expect(page.locator("#gauge .big")).to_have_text("94 %")
        expect(page.locator("#facts")).to_contain_text("Runs out")
        page.screenshot(path=str(pictures / "usage-api.png"), full_page=True)
        page.locator("#msisdn").fill("1")
        page.locator("#ask button").click()
        expect(page.locator("#no-plan")).to_have_text("No plan for this number now.")
        # The browser itself notes an answer 404.
        assert [text for text in complaints if "404" not in text] == []


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_in_light_and_dark(stored: Settings, network: None, pictures: Path, dark: bool) -> None:
    with serving(stored) as url, opened(url, width=390, dark=dark) as (page, complaints):
        expect(page.locator("#as-of.up")).to_contain_text("as of")
        page.locator("#msisdn").fill("48917840001")
        page.locator("#ask button").click()
        expect(page.locator("#gauge .big")).to_have_text("94 %")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        light = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0] > 128")
        assert light is not dark
        page.screenshot(path=str(pictures / f"usage-api-phone-{'dark' if dark else 'light'}.png"), full_page=True)
        assert complaints == []


def test_with_keys_the_page_asks_for_one_and_shows_what_it_may_see(
    stored: Settings, network: None, tmp_path: Path
) -> None:
    with serving(stored, keys=keys_file(tmp_path, {"k": "network,subscribers"})) as url, opened(url) as (page, _):
        dialog = page.locator("#key-dialog")
        expect(dialog).to_be_visible()
        page.locator("#key").fill("k")
        page.locator("#key-dialog button").click()
        expect(page.locator("#as-of.up")).to_contain_text("as of")
        expect(page.locator("#events li")).to_have_count(9)
