"""The usage API's parts put together, as an application of ``bytemeter.web.server``."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence

from sqlalchemy.engine import URL
from starlette.routing import BaseRoute

from bytemeter.settings import Settings
from bytemeter.web.bodies import Bodies
from bytemeter.web.keys import Keys
from bytemeter.web.metrics import Metrics
from bytemeter.web.server import Address
from bytemeter.web.server import serve as serve_application
from serving.api.clients import CLIENTS, Client
from serving.api.facade_routes import BODY_S, MOST_BODY_BYTES
from serving.api.login import own_login
from serving.api.money import billing_zone
from serving.api.rates import Rates
from serving.api.routes import Routes
from serving.api.snapshots import Snapshots
from serving.api.stream import EventStream


def serve(settings: Settings, address: Address, stop: threading.Event, started: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set, then answer what is in flight.

    Args:
        started: called with the URL once the server listens.

    Raises:
        BytemeterError: it cannot listen, the keys cannot be used, everybody could ask it, or the tables are missing.
        TransientError: PostgreSQL could not be reached.
    """
    address.require_keys()
    keys = Keys(address.keys, CLIENTS) if address.keys else None
    with own_login(settings.require_database_url(), settings.api_timeout_s) as login:
        serve_application(UsageApi(settings, login, keys), address, stop, started)


class UsageApi:
    """The usage API as an application."""

    name = "usage API"

    def __init__(self, settings: Settings, login: URL, keys: Keys[Client] | None) -> None:
        self._settings, self._keys = settings, keys
        self.bodies = Bodies(MOST_BODY_BYTES, BODY_S)
        timeout_s = settings.api_timeout_s
        self._snapshots = Snapshots(login, settings.api_connections, timeout_s)
        self._stream = EventStream(login, self._snapshots, most_clients=settings.api_streams, timeout_s=timeout_s)
        self._routes: Routes | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> Sequence[BaseRoute]:
        """Look for threshold events.

        Raises:
            BytemeterError: the tables are missing.
            TransientError: PostgreSQL cannot be reached.
        """
        self._loop = asyncio.get_running_loop()
        await self._stream.start()
        metrics, snapshots, stream = Metrics("bytemeter_api", "Requests with a key"), self._snapshots, self._stream
        metrics.show("questions_waiting", "Questions to PostgreSQL without an answer yet", lambda: snapshots.waiting)
        metrics.show("stream_clients", "Clients that follow threshold events", lambda: stream.clients)
        metrics.show("postgres_available", "Whether PostgreSQL answers", lambda: float(stream.available))
        rates = Rates(self._settings.api_requests_per_s)
        zone = await self._loop.run_in_executor(None, snapshots.asked, billing_zone(self._settings.billing_zone))
        self._routes = Routes(snapshots, stream, self._keys, rates, metrics, zone)
        return self._routes.all()

    async def stop(self) -> None:
        """End all connections."""
        await self._stream.stop()
        self._snapshots.close()

    def drain(self) -> None:
        """Say that the API is about to end, and end all streams: they have no end of their own."""
        if self._routes and self._loop:
            self._routes.draining = True
            self._loop.call_soon_threadsafe(self._stream.end)
