"""How often a client may ask: a bucket of requests for each, which fills at a steady rate."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import ceil

from bytemeter.web.problems import try_later


class Rates:
    """The buckets of all clients: each holds at most the requests of two seconds."""

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._clock = per_s, clock
        # By client: requests left, as of when.
        self._left: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> None:
        """Count a request.

        Raises:
            Problem: 429 if the client has asked too often.
        """
        now, most = self._clock(), max(2 * self._per_s, 1.0)
        left, at = self._left.get(client, (most, now))
        left = min(most, left + (now - at) * self._per_s)
        if left < 1:
            after_s = ceil((1 - left) / self._per_s)
            raise try_later(429, f"more than {self._per_s:g} requests a second; repeat the request", after_s)
        self._left[client] = (left - 1, now)
