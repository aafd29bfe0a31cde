"""How long a dashboard takes to be drawn in a real browser, while the demo counts beside it."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from bytemeter.errors import BytemeterError
from embedded.home import wait_until
from embedded.superset import ADMIN
from serving.dashboards import SLUGS, SupersetClient
from tests.integration.browser import browser

_URL = "http://127.0.0.1:8088"
_READY_S, _SETTLED_S = 900, 20


def measure_drawing(rounds: int) -> None:
    """Start a demo of its own, look at each tab of each dashboard in turn, print seconds until the last chart is drawn.

    Raises:
        BytemeterError: the demo ended, or had no dashboards in time.
    """
    with tempfile.TemporaryDirectory(prefix="bytemeter-drawing-") as folder:
        Path(folder).chmod(0o755)
        told = Path(folder) / "told"
        command = [sys.executable, "-m", "cli", "--home", f"{folder}/home", "demo"]
        with told.open("w") as output:
            demo = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            _wait_for_dashboards(demo, told)
            seconds = _draw(rounds, Path(folder) / "picture.png")
        finally:
            demo.send_signal(signal.SIGINT)
            demo.wait()
    print(f"\n{'drawn beside the demo':<48}{'first':>8}{'warm best':>12}{'median':>9}{'worst':>8}")
    for name, (first, *warm) in seconds.items():
        later = warm or [first]
        print(f"{name:<48}{first:>6.1f} s{min(later):>10.1f} s{median(later):>7.1f} s{max(later):>6.1f} s", flush=True)


def _wait_for_dashboards(demo: subprocess.Popen[bytes], told: Path) -> None:
    def ready() -> bool:
        if demo.poll() is not None:
            last = told.read_text().strip().splitlines()[-1:]
            raise BytemeterError(f"the demo ended without dashboards: {' '.join(last)}")
        return "password" in told.read_text()

    wait_until(ready, what="the demo with its dashboards", log=told, timeout_s=_READY_S)
    time.sleep(_SETTLED_S)


def _draw(rounds: int, picture: Path) -> dict[str, list[float]]:
    """By the names of dashboards and tabs."""
    seconds: dict[str, list[float]] = {}
    with browser(SupersetClient(_URL, ADMIN, "admin")) as looking:
        for _ in range(rounds):
            for slug in SLUGS:
                drawn = looking.look_at(f"{_URL}/superset/dashboard/{slug}/", picture).seconds
                for tab, took in drawn.items():
                    seconds.setdefault(f"{slug}: {tab}", []).append(took)
    return seconds
