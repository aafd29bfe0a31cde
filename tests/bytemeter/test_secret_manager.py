"""Secrets come from Secret Manager, here a small server that speaks as Google's metadata server and Secret Manager do."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from batch_layer.jobs import hourly_usage
from bytemeter.errors import BytemeterError
from bytemeter.job import submit_main
from bytemeter.settings import load_settings, with_secrets
from cli.commands.schedule import job_environment
from cli.main import main

URL = "postgresql://jobs:hush-hush@db:5432/usage"
NAME = "projects/p/secrets/database-url"
TOKEN = "token-of-the-service-account"


class Google(ThreadingHTTPServer):
    """Holds versions of secrets, and knows one token."""

    versions: dict[str, bytes]
    has_account = True


class _Answers(BaseHTTPRequestHandler):
    server: Google

    def do_GET(self) -> None:
        if self.path == "/computeMetadata/v1/instance/service-accounts/default/token":
            asked_properly = self.headers["Metadata-Flavor"] == "Google" and self.server.has_account
            return self._answer(200 if asked_properly else 404, {"access_token": TOKEN, "expires_in": 3599})
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._refuse(401, "Request had invalid authentication credentials.")
        path = self.path.removeprefix("/v1/").removesuffix(":access")
        if path.startswith("projects/other/"):
            return self._refuse(403, "Permission 'secretmanager.versions.access' denied on resource.\nMore.")
        if path not in self.server.versions:
            return self._refuse(404, f"Secret [{path}] not found or has no versions.")
        data = base64.b64encode(self.server.versions[path]).decode()
        return self._answer(200, {"name": path, "payload": {"data": data}})

    def _refuse(self, status: int, message: str) -> None:
        self._answer(status, {"error": {"code": status, "message": message}})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def google(monkeypatch: pytest.MonkeyPatch) -> Iterator[Google]:
    with Google(("127.0.0.1", 0), _Answers) as server:
        server.versions = {
            f"{NAME}/versions/latest": URL.encode(),
            f"{NAME}/versions/1": b"postgresql://old:o@db/usage\n",
        }
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("GCE_METADATA_HOST", f"127.0.0.1:{server.server_port}")
        monkeypatch.setenv("CLOUDSDK_API_ENDPOINT_OVERRIDES_SECRETMANAGER", f"http://127.0.0.1:{server.server_port}/")
        yield server
        server.shutdown()


def database_url(name: str) -> str:
    return with_secrets(load_settings(database_url_secret=name)).require_database_url()


def test_a_secret_is_read_by_the_service_account_in_its_latest_version_or_the_one_that_is_named(google: Google) -> None:
    assert database_url(NAME) == URL
    assert database_url(f"{NAME}/versions/1") == "postgresql://old:o@db/usage"


def test_nothing_is_read_before_it_is_needed() -> None:
    settings = load_settings(database_url_secret=NAME)
    assert (settings.database_url, settings.database_url_secret) == (None, NAME)
    assert with_secrets(load_settings(database_url=URL)).require_database_url() == URL


def test_kafkas_password_comes_from_a_secret_too(google: Google) -> None:
    google.versions["projects/p/secrets/kafka/versions/latest"] = b"key"
    login = {"kafka_sasl_mechanism": "PLAIN", "kafka_sasl_username": "u", "kafka_security_protocol": "SASL_SSL"}
    settings = load_settings(**login, kafka_sasl_password_secret="projects/p/secrets/kafka")
    password = with_secrets(settings).kafka_sasl_password
    assert password is not None
    assert password.get_secret_value() == "key"


@pytest.mark.parametrize(
    ("name", "held", "message"),
    [
        (
            "projects/other/secrets/a",
            None,
            "HTTP 403, Permission 'secretmanager.versions.access' denied on resource.; grant",
        ),
        ("projects/p/secrets/none", None, "HTTP 404, Secret [projects/p/secrets/none/versions/latest] not found"),
        ("projects/p/secrets/a", b"hush\nhush", "is empty or has more than one line"),
        ("projects/p/secrets/a", b"", "is empty or has more than one line"),
        ("projects/p/secrets/a", b"\xff\xfe", "is not a text in UTF-8"),
        ("projects/p/secrets/a", b"mysql://hush:hush@db/usage", "the URL does not start with postgresql://"),
    ],
)
def test_a_secret_that_cannot_be_used_is_one_line_without_its_value(
    google: Google, name: str, held: bytes | None, message: str
) -> None:
    if held is not None:
        google.versions[f"{name}/versions/latest"] = held
    with pytest.raises(BytemeterError) as refused:
        database_url(name)
    line = str(refused.value)
    assert line.startswith("BYTEMETER_DATABASE_URL_SECRET: ")
    assert message in line
    assert "\n" not in line
    assert not {"hush", TOKEN} & set(line.replace("/", " ").replace(":", " ").split())


def test_outside_of_google_cloud_the_line_says_what_else_there_is(
    google: Google, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    google.has_account = False
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_SECRET", NAME)
    assert main(["psql"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "gave no token" in line
    assert line.endswith("name a file by the setting that ends in _FILE")


def test_one_secret_has_one_source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BYTEMETER_DATABASE_URL", URL)
    assert load_settings(database_url_secret=NAME).database_url is None
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_SECRET", NAME)
    with pytest.raises(BytemeterError, match="BYTEMETER_DATABASE_URL_SECRET is set, and so is BYTEMETER_DATABASE_URL"):
        load_settings()
    assert load_settings(database_url=URL).database_url_secret is None


def test_a_job_takes_the_name_of_the_secret_in_place_of_the_url(
    google: Google, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--dirty", "--history", "gs://b/h", "--database-url-secret"]
    assert submit_main(hourly_usage.JOB, [*given, "projects/other/secrets/a"]) == 1
    assert "HTTP 403" in capsys.readouterr().err
    assert submit_main(hourly_usage.JOB, [*given, NAME, "--jdbc-url", "jdbc:postgresql://db/usage"]) == 2


PRINT = (
    "from bytemeter.settings import load_settings, with_secrets\n"
    "settings = with_secrets(load_settings())\n"
    "password = settings.kafka_sasl_password\n"
    "print(settings.require_database_url(), password and password.get_secret_value())"
)
ENDPOINTS = {"kafka": "b:9092", "history": "gs://b/h"}
LOGIN = {"SECURITY_PROTOCOL": "SASL_SSL", "SASL_MECHANISM": "PLAIN", "SASL_USERNAME": "u"}


def seen_by_a_job(**flags: str) -> str:
    """The secrets that a process of the scheduler has, whose settings come from the environment and from flags."""
    environment = job_environment(with_secrets(load_settings(**ENDPOINTS, **flags)))
    command = [sys.executable, "-c", PRINT]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


def test_a_scheduled_job_reads_the_secrets_of_the_scheduler_anew(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    google.versions["projects/p/secrets/kafka/versions/latest"] = b"key"
    for name, value in {**LOGIN, "SASL_PASSWORD_SECRET": "projects/p/secrets/kafka"}.items():
        monkeypatch.setenv(f"BYTEMETER_KAFKA_{name}", value)
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_SECRET", NAME)
    assert seen_by_a_job() == f"{URL} key"
    environment = job_environment(with_secrets(load_settings(**ENDPOINTS)))
    assert not {"hush-hush", "key"} & set(" ".join(environment.values()).replace(":", " ").replace("@", " ").split())


def test_a_scheduled_job_has_the_database_that_a_flag_of_the_scheduler_names(
    google: Google, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = "postgresql://db/other"
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_SECRET", NAME)
    assert seen_by_a_job(database_url=other) == f"{other} None"
    monkeypatch.delenv("BYTEMETER_DATABASE_URL_SECRET")
    file = tmp_path / "url"
    file.touch(0o600)
    file.write_text(other)
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", str(file))
    assert seen_by_a_job() == f"{other} None"
    assert seen_by_a_job(database_url_secret=NAME) == f"{URL} None"
