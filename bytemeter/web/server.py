"""A server as a process: listens, runs an application in an event loop of its own thread, and drains it at the end."""

from __future__ import annotations

import asyncio
import gc
import ipaddress
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from bytemeter.errors import BytemeterError
from bytemeter.web.answers import failed, refused
from bytemeter.web.bodies import Bodies
from bytemeter.web.protocol import BoundedProtocol

_KEEP_ALIVE_S = 30
_DRAIN_S = 8
_MOST_CONNECTIONS = 2_000
# Each request makes thousands of objects that nothing refers back to.
_GARBAGE = (100_000, 20, 50)


@dataclass(frozen=True)
class Address:
    """Where a server listens.

    Attributes:
        port: 0 for a free one.
        keys: the file of API keys; None for no keys, on loopback only.
    """

    host: str
    port: int
    keys: Path | None = None

    def require_keys(self) -> None:
        """Refuse to serve everybody where others reach the server.

        Raises:
            BytemeterError: they do, and there are no keys.
        """
        if self.keys is None and not is_loopback(self.host):
            raise BytemeterError(
                f"--host {self.host} can be reached by others, and there are no API keys; give --keys FILE, "
                "or listen on 127.0.0.1"
            )


class Application(Protocol):
    """What a server serves.

    Attributes:
        name: for threads and errors, e.g. ``collector``.
        bodies: what is held of requests, and for clients that do not read; its time-out is also that of a head.
    """

    name: str
    bodies: Bodies

    async def start(self) -> Sequence[BaseRoute]:
        """Begin, in the server's event loop; returns the routes.

        Raises:
            BytemeterError: it cannot begin; ``serve`` raises the same.
        """

    async def stop(self) -> None:
        """End, once all requests are answered."""

    def drain(self) -> None:
        """The server is about to end; called from another thread, before ``stop``."""


def serve(application: Application, address: Address, stop: threading.Event, started: Callable[[str], None]) -> None:
    """Serve until ``stop`` is set, then answer what is in flight.

    Args:
        started: called with the URL once the server answers.

    Raises:
        BytemeterError: it cannot listen, or the application cannot begin.
    """
    with _listening(address) as listening:
        serving = _Serving(application)
        thread = threading.Thread(target=serving.run, args=(listening,), name=application.name, daemon=True)
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
        raise serving.error or BytemeterError(f"the {application.name} ended by itself; its log may say why")


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


def _listening(address: Address) -> socket.socket:
    try:
        family = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((address.host, address.port), family=family, backlog=2_048)
    except OSError as error:
        raise BytemeterError(
            f"cannot listen on {address.host}:{address.port}: {error.strerror}; give another --port or --host"
        ) from None


class _Serving:
    """The server, in a thread of its own: signals stay with the main thread.

    Attributes:
        error: why it ended, unless it was drained.
    """

    def __init__(self, application: Application) -> None:
        self._application, self._began = application, False
        self._begun = threading.Event()
        self.error: Exception | None = None
        bodies = application.bodies
        limits = {"timeout_s": bodies.timeout_s, "most_connections": _MOST_CONNECTIONS, "bodies": bodies}
        protocol = type("Protocol", (BoundedProtocol,), limits)
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
        return self._began

    def drain(self) -> None:
        """Take no more requests, answer those in flight, and end."""
        if self._began:
            self._application.drain()
        self._server.should_exit = True

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        try:
            app.router.routes.extend(await self._application.start())
        except BytemeterError as error:
            self.error = error
            raise
        self._began = True
        self._begun.set()
        yield
        await self._application.stop()
