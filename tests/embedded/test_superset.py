"""A real Superset: what the demo's password opens, and how often anyone may try."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from bytemeter.errors import BytemeterError
from embedded.home import Home, free_port, wait_until
from embedded.superset import SupersetServer
from tests.commands import open_to_others

DEMO = """
import sys; from pathlib import Path; from bytemeter.errors import BytemeterError
from embedded.home import Home; from embedded.superset import SupersetServer
server = SupersetServer(Home(Path(sys.argv[1])), print, int(sys.argv[2]))
server.start(demo=True)
print("serves", flush=True); sys.stdin.read()
"""
MOST = 10
# A connection that is kept breaks when the server is another one.
UNKEPT = httpx.Limits(max_keepalive_connections=0)


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


def test_the_password_of_the_demo_ends_with_it_and_attempts_are_limited(tmp_path: Path) -> None:
    port = free_port()
    server = SupersetServer(Home(tmp_path / "a b"), print, port)
    command = [sys.executable, "-c", DEMO, str(tmp_path / "a b"), str(port)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as demo,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, limits=UNKEPT) as client,
    ):
        try:
            assert demo.stdout is not None
            assert "serves\n" in iter(demo.stdout.readline, "")
            assert by_form(client, "admin") == httpx.codes.FOUND
            assert me(client) == httpx.codes.OK
            with httpx.Client(base_url=client.base_url, timeout=60) as by_token:
                assert log_in(by_token, "admin") == httpx.codes.OK
                token = by_token.headers["Authorization"]
            with pytest.raises(BytemeterError, match="Superset serves another command of this home"):
                server.start(lasting=True)
            demo.kill()
            wait_until(lambda: not server.running(), what="the end of Superset", log=server.log)
            serving = server.start()
            assert me(client) == httpx.codes.UNAUTHORIZED
            stale = client.get("/api/v1/me/", headers={"Authorization": token})
            assert stale.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.UNPROCESSABLE_ENTITY}
            (server.folder / "log_ins").unlink()  # those above may have been a minute ago
            statuses = [log_in(client, "admin") for _ in range(MOST - 1)]
            assert set(statuses) == {httpx.codes.UNAUTHORIZED}
            assert log_in(client, serving.password) == httpx.codes.OK
            refused = client.post("/login/", data={"username": "admin", "password": serving.password})
            assert refused.status_code == log_in(client, serving.password) == httpx.codes.TOO_MANY_REQUESTS
            assert 0 < int(refused.headers["Retry-After"]) <= 60
            assert me(client) == httpx.codes.OK
        finally:
            demo.kill()
            server.stop()
    assert open_to_others(tmp_path / "a b") == []
