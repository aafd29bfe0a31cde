"""PostgreSQL goes away and comes back: 503 meanwhile, and nothing to do afterwards."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy import Engine, make_url

from bytemeter.settings import Settings
from tests.apis import process
from tests.serving.api.conftest import Figures, subscriber
from tests.serving.api.test_stream import emit, following
from tests.serving.api.test_usage import ASKED

DEADLINE_S = 30


class Cable:
    """Connections to a server that can be cut, and then are refused."""

    def __init__(self, host: str, port: int) -> None:
        self._server, self._connections = (host, port), list[socket.socket]()
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.cut_off = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        self.cut_off = True
        for connection in self._connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.cut_off = False

    def close(self) -> None:
        self.cut()
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listening.accept()
                if self.cut_off:
                    here.close()
                    continue
                there = socket.create_connection(self._server)
                self._connections += [here, there]
                for one, other in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=(one, other), daemon=True).start()

    def _carry(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65_536):
                other.sendall(data)
        with suppress(OSError):
            other.shutdown(socket.SHUT_RDWR)


@contextmanager
def cable(stored: Settings) -> Iterator[tuple[Cable, Settings]]:
    """A cable to the test's PostgreSQL, and settings that use it."""
    url = make_url(stored.require_database_url())
    laid = Cable(str(url.host), url.port or 5432)
    through = url.set(host="127.0.0.1", port=laid.port).render_as_string(hide_password=False)
    try:
        yield laid, stored.model_copy(update={"database_url": SecretStr(through)})
    finally:
        laid.close()


def until(api: httpx.Client, path: str, status: int) -> httpx.Response:
    """The first answer with a status."""
    deadline = time.monotonic() + DEADLINE_S
    while (answer := api.get(path, params=ASKED if "usage" in path else {})).status_code != status:
        assert time.monotonic() < deadline, answer.text
        threading.Event().wait(0.05)
    return answer


@pytest.fixture
def agreement(engine: Engine) -> None:
    with engine.begin() as connection:
        subscriber(connection, "a", "48")


def test_while_postgresql_is_away_answers_are_503_and_then_all_goes_on_by_itself(
    stored: Settings, engine: Engine, figures: Figures, agreement: None
) -> None:
    # A process of its own: psycopg2 asks for some things with Python's lock held, and the cable is in this process.
    with (
        cable(stored) as (laid, settings),
        process(settings) as (_, url),
        httpx.Client(base_url=url, timeout=30) as api,
    ):
        before = until(api, "/v1/usage", 200).json()
        with following(url, 0) as messages:
            laid.cut()
            answer = until(api, "/v1/usage", 503)
            assert int(answer.headers["Retry-After"]) > 0
            assert answer.headers["Content-Type"] == "application/problem+json"
            # Neither the address nor the login of the server.
            assert "127.0.0.1" not in answer.text
            assert until(api, "/ready", 503).json()["reasons"]
            health = api.get("/health")
            assert (health.status_code, len(health.json()["wrong"])) == (200, 1)
            assert api.get("/v1/usage", params={"feed": "phones"}).status_code == 400
            with engine.begin() as connection:
                emit(connection, "a", 1)
            laid.mend()
            assert until(api, "/v1/usage", 200).json()["rows"] == before["rows"]
            assert until(api, "/ready", 200).json()["reasons"] == []
            # The stream was not interrupted, and has what was committed meanwhile.
            assert next(messages).ordinal == 1
        deadline = time.monotonic() + DEADLINE_S
        while api.get("/health").json()["wrong"]:
            assert time.monotonic() < deadline
