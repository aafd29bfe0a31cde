"""The demo's collector, and simulated players of a game that call it: events of the past, then at a steady rate."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx
import msgspec

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from bytemeter.web.server import Address
from embedded.home import HOST, listens
from ingest.collector.game import ACTIONS
from ingest.collector.server import serve

_PORT = 5_000
_RATE = 2.0
_PAST_EVENTS, _PAST_S = 6_000, 3 * 3_600
# As often as players do what ACTIONS lists.
_WEIGHTS = (5, 2, 2, 1)
_TIMEOUT_S = 30


@dataclass
class Players:
    """Players of a game whose server is a collector on loopback.

    Attributes:
        fill: whether to send events of the last hours first.
        stop: set from another thread to end.
        places: addresses on the demo's screen, where that of the collector is added.
    """

    settings: Settings
    seed: int
    fill: bool
    stop: threading.Event
    notify: Callable[[str], None]
    places: dict[str, str]
    _url: str = field(default="", init=False)
    _started: threading.Event = field(default_factory=threading.Event, init=False)

    def serve(self) -> None:
        """Serve the collector until stopped; without it the demo goes on."""
        port = 0 if listens(_PORT) else _PORT
        try:
            serve(self.settings, Address(HOST, port), self.stop, self._tell)
        except BytemeterError as error:
            self.notify(f"no collector: {error}")
        finally:
            self._started.set()

    def play(self) -> None:
        """Call the collector until stopped."""
        self._started.wait()
        chance = random.Random(self.seed)  # noqa: S311
        while self._url and not self.stop.is_set():
            try:
                with httpx.Client(base_url=self._url, timeout=_TIMEOUT_S) as player:
                    self._play(player, chance)
            except httpx.TransportError:
                # It drains; or Kafka was away for long.
                self.stop.wait(1)

    def _play(self, player: httpx.Client, chance: random.Random) -> None:
        if self.fill:
            headers = {"Content-Type": "application/x-ndjson"}
            player.post("/v1/events/game-events", content=self._past(chance), headers=headers)
            self.fill = False
        while not self.stop.wait(1 / _RATE):
            (action,) = chance.choices(ACTIONS, _WEIGHTS)
            player.get(action.path)

    def _past(self, chance: random.Random) -> bytes:
        """Events of the last hours, one on each line."""
        now = time.time()
        actions = chance.choices(ACTIONS, _WEIGHTS, k=_PAST_EVENTS)
        times = sorted(int(now - chance.uniform(0, _PAST_S)) for _ in actions)
        played = ({"event_type": action.event_type, "timestamp": at} for action, at in zip(actions, times, strict=True))
        return b"\n".join(msgspec.json.encode(event) for event in played)

    def _tell(self, url: str) -> None:
        self._url = url
        self._started.set()
        self.places["collector"] = f"{url}, e.g. curl {url}/join_guild"
        self.notify(f"collector: {url}, e.g. curl {url}/join_guild; {url}/docs lists its routes")
