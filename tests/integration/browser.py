"""Looks at a dashboard as a person does: in a real Chromium."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from serving.dashboards import Superset

WIDTH, HEIGHT = 1600, 1200
_DRAWN_S = 60

_CHART = '[data-test="chart-grid-component"]'
# Which of the charts that can be seen are not done, and, once all are, what each of them shows: of one moment, since
# they load again by themselves. It is asked again and again, so it asks for texts, for which the page lays itself out,
# only where nothing else tells.
_CHARTS = """selector => {
  const drawn = '.slice_container canvas, .slice_container svg, .slice_container table, .header-line';
  const error = '[data-test="alert-error"], .ant-alert-error, .missing-chart-container';
  const emptiness = chart => (chart.innerText.match(/No results were returned|No data/) || [null])[0];
  const charts = [...document.querySelectorAll(selector)].filter(chart => chart.checkVisibility());
  const waiting = charts.filter(chart => chart.querySelector('.loading, [data-test="loading-indicator"]')
    || !(chart.querySelector(`${drawn}, ${error}`) || emptiness(chart)));
  if (!charts.length || waiting.length)
    return { waiting: waiting.map(chart => chart.dataset.testChartName), charts: [] };
  return { waiting: [], charts: charts.map(chart => {
    const text = part => { const found = chart.querySelector(part); return found ? found.innerText : null; };
    return {
      name: chart.dataset.testChartName,
      error: text(error),
      empty: emptiness(chart),
      drawn: !!chart.querySelector(drawn),
      number: text('.header-line'),
      rows: [...chart.querySelectorAll('.slice_container tbody tr')].map(
        row => [...row.querySelectorAll('td')].map(cell => cell.innerText.trim())),
      whole: chart.innerText,
    };
  }) };
}"""
_HEIGHT = """() => Math.max(...[...document.querySelectorAll('.dashboard, .dashboard-content, .grid-container')]
  .map(part => part.getBoundingClientRect().bottom + scrollY))"""


@dataclass(frozen=True)
class Dashboard:
    """What a dashboard shows.

    Attributes:
        charts: of all tabs, by name; each with error, empty, drawn, number (of a big number), rows (of a table) and all
            its text.
        seconds: from asking for the page, or for another of its tabs, until the last chart was drawn; by tab.
    """

    charts: dict[str, dict[str, Any]]
    seconds: dict[str, float]


@dataclass
class Browser:
    """A browser in which the administrator is logged in.

    Attributes:
        complaints: what the pages complained of: errors of scripts and of requests, and calls to other servers.
    """

    page: Page
    superset: Superset
    complaints: list[str]

    def look_at(self, url: str, picture: Path) -> Dashboard:
        """Open a dashboard and each of its tabs, wait until no chart loads any more, and take pictures of all of it.

        The picture of the first tab has the name given, those of others its number behind it.
        """
        charts: dict[str, dict[str, Any]] = {}
        seconds: dict[str, float] = {}
        self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
        began = time.monotonic()
        self.page.goto(url, wait_until="domcontentloaded")
        self.page.wait_for_selector(_CHART, timeout=1_000 * _DRAWN_S)
        tabs = self.page.locator("[role=tab]")
        for number, title in enumerate(tabs.all_inner_texts()):
            if number:
                self.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
                began = time.monotonic()
                tabs.nth(number).click()
            drawn = self._drawn()
            seconds[title] = time.monotonic() - began
            charts |= {chart["name"]: chart for chart in drawn}
            self._picture(picture.with_stem(f"{picture.stem}-{number + 1}") if number else picture)
        return Dashboard(charts, seconds)

    def _picture(self, picture: Path) -> None:
        self.page.wait_for_timeout(1_200)  # charts grow for a second
        self.page.set_viewport_size({"width": WIDTH, "height": int(self.page.evaluate(_HEIGHT)) + 20})
        self.page.wait_for_timeout(800)
        self.page.screenshot(path=str(picture))

    def _drawn(self) -> list[dict[str, Any]]:
        deadline = time.monotonic() + _DRAWN_S
        while not (seen := self.page.evaluate(_CHARTS, _CHART))["charts"]:
            assert time.monotonic() < deadline, seen["waiting"]
            self.page.wait_for_timeout(100)
        charts: list[dict[str, Any]] = seen["charts"]
        return charts


@contextmanager
def browser(superset: Superset) -> Iterator[Browser]:
    """A Chromium without a screen, logged in."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "found no Chromium; install one, e.g. apt install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = chromium.new_context(locale="en-US", timezone_id="UTC", color_scheme="light", reduced_motion="reduce")
        page, complaints = context.new_page(), []
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        # What the pages' security policy stops is no call.
        page.on("requestfinished", lambda r: complaints.append(f"calls {r.url}") if _foreign(r.url, superset) else None)
        # Its scripts come one after another: what is filled in before the last one may be lost.
        page.goto(f"{superset.url}/login/", wait_until="networkidle")
        page.locator('[data-test="username-input"], input#username').first.fill(superset.user)
        page.locator('[data-test="password-input"], input#password').first.fill(superset.password)
        page.locator('[data-test="login-button"], button[type="submit"], input[type="submit"]').first.click()
        try:
            page.wait_for_url(lambda url: "/login" not in url, wait_until="commit", timeout=1_000 * _DRAWN_S)
        except PlaywrightTimeout:
            raise AssertionError(f"not logged in at {page.url}: {page.inner_text('body')!r}; {complaints}") from None
        yield Browser(page, superset, complaints)
        chromium.close()


def _foreign(url: str, superset: Superset) -> bool:
    return url.startswith("http") and not url.startswith(superset.url)
