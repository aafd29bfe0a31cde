"""A proxy before the object storage of a run: it hands requests on, except those that a test wants to fail."""

from __future__ import annotations

import http.client
import re
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from embedded.home import HOST

_JSON = re.compile(r"/storage/v1/b/(?P<bucket>[^/?]+)(?:/o/(?P<object>[^?]+))?")
_XML = re.compile(r"/(?P<bucket>[^/?]+)/(?P<object>[^?]+)")
_UPLOAD = re.compile(r"upload_id=([^&]+)")
_NAME = re.compile(r"[?&]name=([^&]+)|\"name\" ?: ?\"([^\"]+)\"")
_HOP = {"transfer-encoding", "connection", "keep-alive", "content-length"}


@dataclass(frozen=True)
class Request:
    """What a client asks.

    Attributes:
        key: the bucket and, where the request is about one, the object: ``bucket/path``.
        headers: with names in lower case.
    """

    method: str
    path: str
    key: str
    headers: dict[str, str]

    @property
    def writes(self) -> bool:
        """Whether it makes or ends an upload, or deletes."""
        return self.method != "GET"


@dataclass(frozen=True)
class Harm:
    """What to do to a request.

    Attributes:
        status: answer with it, and do not hand the request on.
        message: of that answer.
        reset: end the connection without an answer.
        late: do that, or answer with the status, after the request was handed on.
        wait: hand the request on when it is set.
    """

    status: int | None = None
    message: str = "by the test"
    reset: bool = False
    late: bool = False
    wait: threading.Event | None = None


Judge = Callable[[Request], Harm | None]


@dataclass
class Proxy:
    """Hands requests on from a port of this machine to another."""

    port: int
    behind: int
    _judges: list[Judge] = field(default_factory=list)
    _received: dict[str, int] = field(default_factory=dict)
    _done: dict[str, tuple[http.client.HTTPResponse, bytes]] = field(default_factory=dict)

    def __enter__(self) -> Proxy:
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server((HOST, self.port), handler)
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def judged(self, judge: Judge) -> Iterator[list[Request]]:
        """Ask ``judge`` about each request; yields the requests that were harmed."""
        harmed: list[Request] = []

        def noted(request: Request) -> Harm | None:
            harm = judge(request)
            if harm:
                harmed.append(request)
            return harm

        self._judges.append(noted)
        try:
            yield harmed
        finally:
            self._judges.remove(noted)

    def harm_to(self, request: Request) -> Harm | None:
        """The first harm that a judge wants."""
        return next((harm for judge in list(self._judges) if (harm := judge(request))), None)

    def key_of(self, path: str, body: bytes) -> str:
        """The bucket and the object that a request is about."""
        found = _JSON.search(path) or _XML.match(path)
        if not found:
            return ""
        bucket, name = found["bucket"], found["object"] or ""
        if "/upload/" in path:
            named = _NAME.search(path) or _NAME.search(body[:4096].decode("utf-8", "replace"))
            name = (named[1] or named[2]) if named else ""
        return unquote(f"{bucket}/{name}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that ends its connection is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    proxy: Proxy

    def setup(self) -> None:
        super().setup()
        self._server_side = http.client.HTTPConnection(HOST, self.proxy.behind)

    def finish(self) -> None:
        self._server_side.close()
        with suppress(OSError, ValueError):
            super().finish()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def _handle(self) -> None:
        body = self._body()
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, self.proxy.key_of(self.path, body), headers)
        harm = self.proxy.harm_to(request)
        if harm and harm.wait:
            harm.wait.wait()
        handed_on = self._handed_on(body) if not harm or harm.late or harm.wait else None
        if harm and harm.reset:
            self._reset()
        elif harm and harm.status:
            self._answer_harm(harm.status, harm.message)
        elif handed_on:
            self._answer(*handed_on)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _handed_on(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes] | None:
        """The server's answer; None if this has answered."""
        upload, part = _UPLOAD.search(self.path), self.headers.get("Content-Range") or ""
        received = self.proxy._received.get(upload[1], 0) if upload else 0
        if upload and part.startswith("bytes */") and part != f"bytes */{received}":
            return self._upload_so_far(upload[1])
        answer = self._asked(body)
        if upload and answer[0].status == HTTPStatus.PERMANENT_REDIRECT:
            self.proxy._received[upload[1]] = self.proxy._received.get(upload[1], 0) + len(body)
        elif upload and answer[0].status == HTTPStatus.OK:
            self.proxy._done[upload[1]] = answer
        return answer

    def _upload_so_far(self, upload: str) -> tuple[http.client.HTTPResponse, bytes] | None:
        """Say how much of an upload has arrived: fake-gcs-server would take the question for the upload's end."""
        if upload in self.proxy._done:
            return self.proxy._done[upload]
        received = self.proxy._received.get(upload, 0)
        self.send_response_only(HTTPStatus.PERMANENT_REDIRECT, "Resume Incomplete")
        if received:
            self.send_header("Range", f"bytes=0-{received - 1}")
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def _asked(self, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        headers["Content-Length"] = str(len(body))
        self._server_side.request(self.command, self.path, body, headers)
        answer = self._server_side.getresponse()
        return answer, answer.read()

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answer_harm(self, status: int, message: str) -> None:
        content = b'{"error": {"code": %d, "message": "%s"}}' % (status, message.encode())
        self.send_response_only(status, HTTPStatus(status).phrase)
        self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
