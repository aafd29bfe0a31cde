"""The dashboards of ``serving/superset/assets``, and their import into a running Superset."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from sqlalchemy import URL

from bytemeter.errors import BytemeterError, TransientError

SUPERSET = Path(__file__).parent / "superset"
ASSETS = SUPERSET / "assets"
SLUGS = ("network", "data-plans", "pipeline-health", "telemetry")
_DATABASE = "databases/Bytemeter.yaml"
_ADDRESS = "{SQLALCHEMY_URI}"
_TIMEOUT_S = 120


@dataclass(frozen=True)
class SupersetClient:
    """The API of a running Superset, used by an administrator."""

    url: str
    user: str
    password: str = field(repr=False)

    def dashboards(self) -> list[str]:
        """The URLs of the dashboards."""
        return [f"{self.url}/superset/dashboard/{slug}/" for slug in SLUGS]

    def import_assets(self, database: URL) -> None:
        """Create the database connection, datasets, charts and dashboards, or bring them to this version.

        Each asset has a fixed uuid: a further import updates it, and users' own assets stay.

        Args:
            database: the URL of the database that the dashboards read, with its login.

        Raises:
            BytemeterError: Superset refused the login or the assets.
            TransientError: Superset could not be reached.
        """
        try:
            with httpx.Client(base_url=self.url, timeout=_TIMEOUT_S) as client:
                headers = self._log_in(client)
                answer = client.post(
                    "/api/v1/assets/import/",
                    headers=headers,
                    files={"bundle": ("bytemeter.zip", bundle(database), "application/zip")},
                    data={"passwords": json.dumps({_DATABASE: database.password})},
                )
        except httpx.TransportError as error:
            raise TransientError(f"Superset at {self.url} cannot be reached: {error}") from None
        if answer.status_code != httpx.codes.OK:
            raise BytemeterError(f"Superset at {self.url} refused the dashboards: {_one_line(answer)}")

    def _log_in(self, client: httpx.Client) -> dict[str, str]:
        """Log in; returns the headers of a request that changes something."""
        login = {"username": self.user, "password": self.password, "provider": "db"}
        answer = client.post("/api/v1/security/login", json=login)
        if answer.status_code != httpx.codes.OK:
            raise BytemeterError(f"Superset at {self.url} refused the login of {self.user}: {_one_line(answer)}")
        bearer = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        token = client.get("/api/v1/security/csrf_token/", headers=bearer).json()["result"]
        return {**bearer, "X-CSRFToken": token, "Referer": self.url}


def bundle(database: URL) -> bytes:
    """The assets as the zip file that Superset imports; the password of the database is not in it."""
    masked = database.set(drivername="postgresql+psycopg2", password="X" * 10)
    address = masked.render_as_string(hide_password=False)
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(ASSETS.rglob("*.yaml")):
            name = path.relative_to(ASSETS).as_posix()
            text = path.read_text()
            archive.writestr(f"bytemeter/{name}", text.replace(_ADDRESS, address) if name == _DATABASE else text)
    return written.getvalue()


def _one_line(answer: httpx.Response) -> str:
    """The status and the beginning of the text of an answer, in one line."""
    return f"{answer.status_code} {' '.join(answer.text.split())[:500]}"
