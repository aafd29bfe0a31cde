"""The locks are asked about at a list of vulnerabilities, here a small server that speaks as the public one does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from requirements import audit

VULNERABILITY = {
    "id": "GHSA-test",
    "modified": "2026-01-01T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "summary": "a hole",
    "affected": [
        {
            "package": {"name": "uv", "ecosystem": "PyPI"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.1"}]}],
        }
    ],
}


class OsvServer(ThreadingHTTPServer):
    """Knows vulnerabilities by the names of packages."""

    vulnerable: dict[str, Any]


class _Answers(BaseHTTPRequestHandler):
    server: OsvServer

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        found = self.server.vulnerable.get(asked["package"]["name"])
        body = json.dumps({"vulns": [found]} if found else {}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture
def osv(monkeypatch: pytest.MonkeyPatch) -> Iterator[OsvServer]:
    """A list of vulnerabilities that pip-audit asks about the smallest lock."""
    server = OsvServer(("127.0.0.1", 0), _Answers)
    server.vulnerable = {}
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(audit, "LOCKS", ("requirements/uv.txt",))
    monkeypatch.setenv("PIP_AUDIT_VULNERABILITY_SERVICE", "osv")
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", f"http://127.0.0.1:{server.server_port}/query")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_known_vulnerability_fails_the_check_and_none_does_not(
    osv: OsvServer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert audit.main() == 0
    assert "asked about 1 packages" in capsys.readouterr().out
    osv.vulnerable["uv"] = VULNERABILITY
    assert audit.main() == 1
    assert "has the vulnerability GHSA-test; expected 999.1: run make lock" in capsys.readouterr().out


def test_without_an_answer_the_check_is_skipped_with_a_line(
    osv: OsvServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_AUDIT_OSV_URL", "http://127.0.0.1:9/query")
    assert audit.main() == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("vulnerabilities: skipped: ")
