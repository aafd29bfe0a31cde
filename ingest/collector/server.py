"""The collector as a process: its parts put together, a server around them, and an orderly end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from bytemeter.errors import BytemeterError
from bytemeter.feeds import FEEDS
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from ingest.collector.backlog import Backlog
from ingest.collector.collecting import Collecting
from ingest.collector.delivery import Delivery
from ingest.collector.game import secret_words
from ingest.collector.generator import Generator
from ingest.collector.journal import Journal
from ingest.collector.keys import Keys
from ingest.collector.limits import InFlight, Limits
from ingest.collector.metrics import Metrics
from ingest.collector.protocol import BoundedProtocol
from ingest.collector.routes import Routes, failed, refused

_KEEP_ALIVE_S = 30
_DRAIN_S = 8
_MOST_CONNECTIONS = 2_000
# Each request makes thousands of objects that nothing refers back to.
_GARBAGE = (100_000, 20, 50)


@dataclass(frozen=True)
class Options:
    """How a collector serves.

    Attributes:
        host, port: where it listens; port 0 for a free one.
        keys: the file of API keys; None for no keys, on loopback only.
        journal: the folder of the journal; None without one.
        generator: whether clients may have simulated agreements and data records sent.
    """

    host: str
    port: int
    keys: Path | None = None
    journal: Path | None = None
    generator: bool = False


def serve(settings: Settings, options: Options, stop: threading.Event, started: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set, then answer what is in flight.

    Args:
        started: called with the URL once the server listens.

    Raises:
        BytemeterError: it cannot listen, the keys or the journal cannot be used, or everybody could send to it.
    """
    if options.keys is None and not is_loopback(options.host):
        raise BytemeterError(
            f"--host {options.host} can be reached by others, and there are no API keys; give --keys FILE, "
            "or listen on 127.0.0.1"
        )
    keys = Keys(options.keys) if options.keys else None
    limits = Limits.of(settings)
    journal = Journal(options.journal, limits.journal_bytes) if options.journal else None
    with _listening(options) as listening:
        serving = _Serving(settings, options, limits, keys, journal)
        thread = threading.Thread(target=serving.run, args=(listening,), name="collector", daemon=True)
        thread.start()
        host, port = listening.getsockname()[:2]
        if serving.begins():
            started(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        while thread.is_alive() and not stop.wait(0.5):
            pass
        ended = not thread.is_alive()
        serving.drain()
        thread.join()
    if ended or serving.error:
        raise serving.error or BytemeterError("the collector's server ended by itself; its log may say why")


def spare_garbage_collection() -> None:
    """Let Python look for reference cycles less often, in a process that only serves: it took a third of the time."""
    gc.collect()
    # What is there now stays, and is not gone through again and again.
    gc.freeze()
    gc.set_threshold(*_GARBAGE)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the host."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _listening(options: Options) -> socket.socket:
    try:
        family = socket.getaddrinfo(options.host, options.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((options.host, options.port), family=family, backlog=2_048)
    except OSError as error:
        raise BytemeterError(
            f"cannot listen on {options.host}:{options.port}: {error.strerror}; give another --port or --host"
        ) from None


class _Serving:
    """The server, in a thread of its own: signals stay with the main thread.

    Attributes:
        error: why it ended, unless it was drained.
    """

    def __init__(
        self, settings: Settings, options: Options, limits: Limits, keys: Keys | None, journal: Journal | None
    ) -> None:
        self._settings, self._options, self._limits = settings, options, limits
        self._keys, self._journal = keys, journal
        self._routes: Routes | None = None
        self._begun = threading.Event()
        self.error: Exception | None = None
        self._in_flight = InFlight(limits)
        protocol = type(
            "Protocol",
            (BoundedProtocol,),
            {"timeout_s": limits.timeout_s, "most_connections": _MOST_CONNECTIONS, "in_flight": self._in_flight},
        )
        app = Starlette(lifespan=self._lifespan, exception_handlers={HTTPException: refused, Exception: failed})
        # A redirect would lead to the host that the request names.
        app.router.redirect_slashes = False
        config = uvicorn.Config(
            app, http=protocol, ws="none", lifespan="on", log_config=None, access_log=False, server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S, timeout_graceful_shutdown=_DRAIN_S,
        )  # fmt: skip
        self._server = uvicorn.Server(config)

    def run(self, listening: socket.socket) -> None:
        """Serve until ``drain``."""
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._server.serve(sockets=[listening]))
        except Exception as error:
            self.error = error
        except SystemExit:
            # uvicorn's way to end after a start that failed, of which ``error`` says why.
            pass
        finally:
            self._begun.set()

    def begins(self) -> bool:
        """Wait until requests are answered; returns whether they are."""
        self._begun.wait()
        return self._routes is not None

    def drain(self) -> None:
        """Take no more requests, answer those in flight, and end."""
        if self._routes:
            self._routes.draining = True
        self._server.should_exit = True

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        kafka = Kafka(self._settings)
        topics = [kafka.topic_name(feed.topic) for feed in FEEDS.values()]
        try:
            delivery = Delivery(kafka, topics, timeout_s=self._limits.timeout_s, most_messages=self._limits.events)
        except BytemeterError as error:
            self.error = error
            raise
        await delivery.start()
        backlog = Backlog(self._journal, delivery) if self._journal else None
        if backlog:
            backlog.start()
        in_flight, metrics = self._in_flight, Metrics()
        collecting = Collecting(kafka.topic_name, delivery, backlog)
        secret = secret_words(self._settings.collector_secret_headers)
        generator = Generator(delivery, kafka.topic_name, metrics, most_events=self._limits.events)
        self._routes = Routes(
            collecting, self._limits, self._keys, secret, metrics, in_flight,
            generator=generator if self._options.generator else None, local=is_loopback(self._options.host),
        )  # fmt: skip
        metrics.show("events_in_flight", "Events of requests that were not answered yet", lambda: in_flight.events)
        metrics.show("kafka_available", "Whether Kafka answers", lambda: float(delivery.available))
        metrics.show("journal_bytes", "Bytes that wait for Kafka", lambda: backlog.size if backlog else 0)
        app.router.routes.extend(self._routes.all())
        self._begun.set()
        yield
        if backlog:
            await backlog.stop()
        await delivery.stop()
