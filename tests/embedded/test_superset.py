"""A real Superset: what the demo's password opens, and how often anyone may try."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from bytemeter.errors import BytemeterError
from embedded.administrator import set_password
from embedded.home import Home, free_port, wait_until
from embedded.superset import Environment, SupersetServer, superset_environment
from tests.commands import open_to_others

SERVE = """
import sys; from pathlib import Path; from embedded.administrator import set_password
from embedded.home import Home; from embedded.superset import Environment, SupersetServer, superset_environment
server = SupersetServer(Home(Path(sys.argv[1])), print, int(sys.argv[2]))
print("serves", server.start(demo=sys.argv[3] == "demo").password, flush=True); sys.stdin.read()
"""
MOST = 10


def log_in(client: httpx.Client, password: str) -> int:
    """Try to log in by the API; returns the status, and keeps the token."""
    answer = client.post("/api/v1/security/login", json={"username": "admin", "password": password, "provider": "db"})
    if answer.status_code == httpx.codes.OK:
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return answer.status_code


def by_form(client: httpx.Client, password: str) -> int:
    """Try to log in by the form, as a browser does; returns the status (302 if it was right), and keeps the cookie."""
    token = re.search(r'csrf_token"\s+value="([^"]+)', client.get("/login/").text)
    assert token
    form = {"username": "admin", "password": password, "csrf_token": token[1]}
    return client.post("/login/", data=form).status_code


def me(client: httpx.Client) -> int:
    return client.get("/api/v1/me/").status_code


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SupersetServer]:
    """The Superset of a home, not running yet."""
    server = SupersetServer(Home(tmp_path / "a b"), print, free_port())
    yield server
    server.stop()


@pytest.fixture
def client(server: SupersetServer) -> Iterator[httpx.Client]:
    """Somebody on this machine; connections are not kept, since the server changes."""
    limits = httpx.Limits(max_keepalive_connections=0)
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60, limits=limits) as client:
        yield client


@contextmanager
def served(server: SupersetServer, kind: str = "") -> Iterator[str]:
    """Another process serves until the block ends and the process is killed; yields the password."""
    command = [sys.executable, "-c", SERVE, str(server.home.path), str(server.port), kind]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(line.split()[1] for line in process.stdout if line.startswith("serves "))
        finally:
            process.kill()
    wait_until(lambda: not server.running(), what="the end of Superset", log=server.log)


def test_after_a_demo_the_password_is_another_one_and_attempts_are_limited(
    server: SupersetServer, client: httpx.Client
) -> None:
    environment, variables = Environment(print), superset_environment(server.folder)
    environment.install()
    set_password(server.folder, environment.program("python"), environment.metadata, variables, demo=True)
    with served(server) as password:
        with pytest.raises(BytemeterError, match="Superset serves another command of this home"):
            server.start(lasting=True)
        statuses = [log_in(client, "admin") for _ in range(MOST - 1)]
        assert set(statuses) == {httpx.codes.UNAUTHORIZED}
        assert log_in(client, password) == httpx.codes.OK
        refused = client.post("/login/", data={"username": "admin", "password": password})
        assert refused.status_code == log_in(client, password) == httpx.codes.TOO_MANY_REQUESTS
        assert 0 < int(refused.headers["Retry-After"]) <= 60
        assert me(client) == httpx.codes.OK
    assert open_to_others(server.home.path) == []


def test_sessions_of_the_demo_end_with_it(server: SupersetServer, client: httpx.Client, full: bool) -> None:
    if not full:
        pytest.skip("starts Superset twice, which takes a minute; run with --full")
    with served(server, "demo") as password:
        assert password == "admin"
        assert by_form(client, password) == httpx.codes.FOUND
        assert me(client) == httpx.codes.OK
        with httpx.Client(base_url=client.base_url, timeout=60) as by_token:
            assert log_in(by_token, password) == httpx.codes.OK
            token = by_token.headers["Authorization"]
    with served(server) as password:
        assert password != "admin"
        assert me(client) == httpx.codes.UNAUTHORIZED
        stale = client.get("/api/v1/me/", headers={"Authorization": token})
        assert stale.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.UNPROCESSABLE_ENTITY}
