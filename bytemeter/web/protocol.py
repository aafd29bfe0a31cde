"""The server's HTTP protocol with the limits that uvicorn has not: of heads, of slow clients, of connections."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Sized
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from bytemeter.web.bodies import Bodies
from bytemeter.web.problems import Problem, try_later

_MOST_HEAD_BYTES = 65_536
# A body in chunks of one byte has five bytes around each.
_MOST_AROUND_A_BYTE = 8
_LEAST_READ_BYTES = 65_536
_DROP = struct.pack("ii", 1, 0)  # linger for no time
_OF_AN_UPGRADE = (b"upgrade", b"http2-settings", b"connection")


class _HeadTooLargeError(Exception):
    """Ends the parsing of a head that arrived as a whole."""


class BoundedProtocol(HttpToolsProtocol):
    """Answers by problems what is no HTTP, and gives up clients that are slow.

    A head is refused if it is over 64 KiB (431) or does not arrive in time (408); a connection beyond the most gets
    503. A client that does not send the rest of a body that is answered, or does not read, is disconnected. ``Upgrade``
    is ignored: clients offer HTTP/2 so, and go on with HTTP/1.1.

    Attributes:
        timeout_s: seconds for a head, for the rest of a body that is answered, and for reading 64 KiB of an answer.
        most_connections: connections that are served.
        bodies: what is held, also for clients that do not read.
    """

    timeout_s = 10.0
    most_connections = 2_000
    bodies: Bodies

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head, self._in_body = True, False
        # Of the present message: all bytes but those with which it began, and those of its body.
        self._received = self._body_bytes = 0
        self._refusal: Problem | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._unread = 0
        self._reading_timer: asyncio.TimerHandle | None = None
        self._served: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first head."""
        super().connection_made(transport)
        self.flow = _Flow(transport, self.pipeline)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        self._all_was_read()
        if self._served and not self._served.response_complete:
            # uvicorn tells only the latest of several requests that came together.
            self._served.disconnected = True
            self._served.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes have arrived."""
        self._unset_keepalive_if_required()
        if self._refusal:
            return
        self._received += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
            return
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, _HeadTooLargeError):
                self._refuse(_too_large())
            else:
                self._refuse(Problem(400, "this is no request of HTTP/1.1; expected one as RFC 9112 says"))
            return
        around = self._received - self._body_bytes
        if around > _MOST_HEAD_BYTES + _MOST_AROUND_A_BYTE * self._body_bytes:
            self._refuse(_too_large())
        elif self._idle and self._timer is None:
            # Line ends before a request.
            self._await_head()

    def on_message_begin(self) -> None:
        """The first byte of a head has arrived."""
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        """A head has arrived."""
        if self.parser.should_upgrade():
            return
        if len(self.url) + sum([len(name) + len(value) for name, value in self.headers]) > _MOST_HEAD_BYTES:
            raise _HeadTooLargeError
        self._in_head, self._in_body = False, True
        self._stop_waiting()
        served = len(self.connections) <= self.most_connections
        self.app = self.config.loaded_app if served else _turned_away
        super().on_headers_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._served = cycle
        super()._start_asgi_task(cycle, app)

    def on_body(self, body: bytes) -> None:
        """A part of a body has arrived."""
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """All of a request has arrived."""
        if self.parser.should_upgrade():
            return
        self._in_body = False
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request has its answer."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._close()
        elif self._refusal:
            self._refuse(self._refusal)
        elif self._in_body and self._idle:
            self._wait(self._close)

    def timeout_keep_alive_handler(self) -> None:
        """No other request has come."""
        self._close()

    def pause_writing(self) -> None:
        """The client reads more slowly than it is answered."""
        super().pause_writing()
        self._unread = self.transport.get_write_buffer_size()
        self.bodies.held_bytes += self._unread
        self._await_reading(self._unread)

    def resume_writing(self) -> None:
        """The client has read nearly all."""
        self._all_was_read()
        super().resume_writing()

    @property
    def _idle(self) -> bool:
        """Whether all requests whose heads have arrived are answered."""
        return self.cycle is None or self.cycle.response_complete

    def _await_head(self) -> None:
        self._in_head, self._received, self._body_bytes = True, 0, 0
        self._wait(self._refuse_late_head)

    def _refuse_late_head(self) -> None:
        if self._idle:
            self._refuse(Problem(408, f"no whole head of a request arrived in {self.timeout_s:g} s"))
        else:
            # While earlier requests are served, it may be we who do not read.
            self._wait(self._refuse_late_head)

    def _wait(self, then: Callable[[], None]) -> None:
        self._stop_waiting()
        self._timer = self.loop.call_later(self.timeout_s, then)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _await_reading(self, before: int) -> None:
        self._reading_timer = self.loop.call_later(self.timeout_s, self._require_reading, before)

    def _require_reading(self, before: int) -> None:
        unread = self.transport.get_write_buffer_size()
        if before - unread < _LEAST_READ_BYTES:
            self._drop()
        else:
            self._await_reading(unread)

    def _close(self) -> None:
        """Close the connection once the client has read what was written, or its time is over."""
        self.transport.close()
        if self.transport.get_write_buffer_size():
            self._wait(self._drop)

    def _drop(self) -> None:
        # Else the system goes on holding what the client does not read.
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self.transport.abort()

    def _all_was_read(self) -> None:
        self.bodies.held_bytes -= self._unread
        self._unread = 0
        if self._reading_timer is not None:
            self._reading_timer.cancel()
            self._reading_timer = None

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Read the request again, as one without ``Upgrade``: the parser takes what follows for another protocol."""
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse(Problem(405, "this is no proxy; see /docs for the routes and their methods"))
            return
        closes = any(name == b"connection" and b"close" in value.lower() for name, value in self.headers)
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self.headers if header[0] not in _OF_AN_UPGRADE]
        lines += [b"connection: close"] if closes else []
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"\r\n".join([*lines, b"", rest]))

    def _refuse(self, problem: Problem) -> None:
        """Answer and close the connection, once earlier requests have their answers."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        if not self._idle:
            self._refusal = problem
            self.flow.pause_reading()
            return
        body = bytes(problem.response().body)
        head = (
            f"HTTP/1.1 {problem.status} {HTTPStatus(problem.status).phrase}\r\nconnection: close\r\n"
            f"content-type: application/problem+json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self._close()


class _Flow(FlowControl):
    """Reads no more of a connection while requests of it wait: uvicorn reads on with each answer, and they pile up."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """Read on, unless requests wait."""
        if not self._waiting:
            super().resume_reading()


def _too_large() -> Problem:
    return Problem(431, f"the head, or what is around the body, has over {_MOST_HEAD_BYTES} bytes")


async def _turned_away(scope: Any, receive: Any, send: Any) -> None:
    problem = try_later(503, "too many connections are open; connect again later", 1, headers={"Connection": "close"})
    await problem.response()(scope, receive, send)
