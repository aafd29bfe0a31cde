"""How long a real browser takes to draw the tabs of the dashboards while the demo runs."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bytemeter.errors import BytemeterError
from embedded.administrator import ADMIN, DEMO_PASSWORD
from embedded.home import wait_until
from serving.dashboards import SLUGS, SupersetClient
from tests.integration.browser import browser

_URL = "http://127.0.0.1:8088"
# The demo is measured some time after its dashboards are up: it has done the work of its start by then.
_LONGEST_START_S, _AFTER_START_S = 900, 20


def measure_drawing(rounds: int) -> None:
    """Start a demo, open each tab of each dashboard in turn, and print the seconds until its last chart was drawn.

    Raises:
        BytemeterError: the demo ended, or did not serve its dashboards in time.
    """
    with tempfile.TemporaryDirectory(prefix="bytemeter-drawing-") as folder:
        Path(folder).chmod(0o755)
        log = Path(folder) / "demo.log"
        command = [sys.executable, "-m", "cli", "--home", f"{folder}/home", "demo"]
        with log.open("w") as output:
            demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _wait_for_dashboards(demo, log)
            seconds = _draw(rounds, Path(folder) / "picture.png")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()
    print(f"\n{'drawn while the demo runs':<48}{'cold':>8}{'best, warm':>12}{'median':>9}{'worst':>8}")
    for name, (cold, *later) in seconds.items():
        warm = later or [cold]
        print(f"{name:<48}{cold:>6.1f} s{min(warm):>10.1f} s{median(warm):>7.1f} s{max(warm):>6.1f} s", flush=True)


def _wait_for_dashboards(demo: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> bool:
        if demo.poll() is not None:
            *_, last = ["nothing printed", *log.read_text().strip().splitlines()]
            raise BytemeterError(f"the demo ended before its dashboards were up: {last}")
        return "password" in log.read_text()

    wait_until(ready, what="the demo with its dashboards", log=log, timeout_s=_LONGEST_START_S)
    time.sleep(_AFTER_START_S)


def _draw(rounds: int, picture: Path) -> dict[str, list[float]]:
    """Seconds of each round, by dashboard and tab."""
    seconds: dict[str, list[float]] = {}
    with browser(SupersetClient(_URL, ADMIN, DEMO_PASSWORD)) as chromium:
        for _ in range(rounds):
            for slug in SLUGS:
                drawn = chromium.look_at(f"{_URL}/superset/dashboard/{slug}/", picture).seconds
                for tab, took in drawn.items():
                    seconds.setdefault(f"{slug}: {tab}", []).append(took)
    return seconds
