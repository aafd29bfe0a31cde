"""The wait until the history covers the offsets that the live query has counted."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from bytemeter.errors import BytemeterError
from bytemeter.history.table import History
from bytemeter.offset_log import Offsets

WAIT_S = 300.0
_POLL_S = 1.0


def wait_until_covered(
    history: History,
    counted: Offsets,
    *,
    wait_s: float,
    topic_ids: Collection[str] = (),
    cancel: threading.Event | None = None,
) -> None:
    """Wait until the history holds all valid records below the counted offsets, or until cancelled.

    Args:
        counted: per partition the next offset of the ledger.
        wait_s: how long to wait, in seconds.
        topic_ids: of the topic that was counted, as the ledger has it.

    Raises:
        BytemeterError: the history is still behind after ``wait_s``, or holds messages of another topic.
    """
    for topic_id in topic_ids:
        history.require_topic(topic_id, topic=history.feed.topic)
    deadline = time.monotonic() + wait_s
    feed, cancelled = history.feed.name, cancel or threading.Event()
    while behind := _behind(history.end_offsets(), counted):
        if time.monotonic() > deadline:
            raise BytemeterError(
                f"the history of {feed} is behind the ledger, by partition (history, ledger): {behind}; "
                f"run `bytemeter stream {feed}` with the same BYTEMETER_HISTORY, then start this job again"
            )
        if cancelled.wait(_POLL_S):
            return


def _behind(history: Offsets, counted: Offsets) -> dict[int, tuple[int, int]]:
    return {p: (history.get(p, 0), offset) for p, offset in counted.items() if history.get(p, 0) < offset}
