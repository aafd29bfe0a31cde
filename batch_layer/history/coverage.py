"""What was counted at one instant, and the wait until the history holds all of it."""

from __future__ import annotations

import threading
import time

from bytemeter.errors import BytemeterError
from bytemeter.history.table import History
from bytemeter.offset_log import Offsets

WAIT_S = 300.0
_POLL_S = 1.0


def wait_until_covered(
    history: History, counted: Offsets, *, wait_s: float, cancel: threading.Event | None = None
) -> None:
    """Wait until the history holds all records below the offsets, or until cancelled.

    Raises:
        BytemeterError: it stays behind.
    """
    deadline = time.monotonic() + wait_s
    feed, cancelled = history.feed.name, cancel or threading.Event()
    while behind := _behind(history.end_offsets(), counted):
        if time.monotonic() > deadline:
            raise BytemeterError(
                f"the history of {feed} is behind what was counted, by partition (history, counted): {behind}; "
                f"run `bytemeter stream {feed}` with the same BYTEMETER_HISTORY, then again"
            )
        if cancelled.wait(_POLL_S):
            return


def _behind(history: Offsets, counted: Offsets) -> dict[int, tuple[int, int]]:
    return {p: (history.get(p, 0), offset) for p, offset in counted.items() if history.get(p, 0) < offset}
