"""Opens dashboards in a real Chromium, as a person does."""

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

from serving.dashboards import SupersetClient

WIDTH, HEIGHT = 1600, 1200
_DRAWN_S = 60

_CHART = '[data-test="chart-grid-component"]'
# The names of the visible charts that still load; once none does, what each chart shows, all at one moment, since
# charts reload by themselves. It runs again and again, so it reads texts, which make the page compute its layout, only
# where no element answers the question.
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
    const text = part => { const element = chart.querySelector(part); return element ? element.innerText : null; };
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
        seconds: by tab, from opening the page or the tab until its last chart was drawn.
    """

    charts: dict[str, dict[str, Any]]
    seconds: dict[str, float]


@dataclass
class Browser:
    """A browser in which the administrator is logged in.

    Attributes:
        complaints: errors of scripts, failed requests, and calls to other servers.
    """

    page: Page
    superset: SupersetClient
    complaints: list[str]

    def look_at(self, url: str, picture: Path | None = None) -> Dashboard:
        """Open a dashboard and each of its tabs, wait until all charts are drawn, and take a picture of each tab.

        The picture of the first tab gets the given name, those of further tabs the tab's number behind it. Without a
        name none is taken: charts grow for a second.
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
            if picture:
                self._picture(picture.with_stem(f"{picture.stem}-{number + 1}") if number else picture)
        return Dashboard(charts, seconds)

    def _picture(self, picture: Path) -> None:
        self.page.wait_for_timeout(1_200)
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
def browser(superset: SupersetClient) -> Iterator[Browser]:
    """A Chromium without a screen, logged in."""
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert program, "no Chromium on the PATH; install one, e.g. apt install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"])
        context = chromium.new_context(locale="en-US", timezone_id="UTC", color_scheme="light", reduced_motion="reduce")
        page, complaints = context.new_page(), []
        page.on("pageerror", lambda error: complaints.append(f"script: {error}"))
        page.on("response", lambda r: complaints.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        # Requests that the pages' security policy stops do not finish, so they are not calls.
        page.on("requestfinished", lambda r: complaints.append(f"calls {r.url}") if _foreign(r.url, superset) else None)
        # Fields that are filled in before the last script has loaded may be emptied.
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


def _foreign(url: str, superset: SupersetClient) -> bool:
    return url.startswith("http") and not url.startswith(superset.url)
