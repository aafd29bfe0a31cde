"""A job looks at its bucket before it counts: what is missing is one line."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pyarrow.fs import FileSelector
from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.history import access
from bytemeter.history.access import require_access, require_credentials
from bytemeter.history.storage import EMULATOR, KEY_FILE, Login, filesystem_of
from tests.buckets import BUCKET, Buckets
from tests.proxy import Harm, Request

NOWHERE = {"HOME": "/nowhere", "GCE_METADATA_HOST": "127.0.0.1:1"}


@pytest.mark.parametrize("given", ["localhost", "ftp://localhost:1", "localhost:4443/storage/v1/", "a b:1"])
def test_a_malformed_emulator_is_named(given: str) -> None:
    with pytest.raises(BytemeterError, match=r"^STORAGE_EMULATOR_HOST: .* is neither HOST:PORT nor http://HOST:PORT"):
        Login.of({EMULATOR: given})


@pytest.mark.parametrize("given", ["localhost:4443", "http://localhost:4443", "http://localhost:4443/"])
def test_an_emulator_is_used_without_a_login_by_both_clients(given: str) -> None:
    login = Login.of({EMULATOR: given, KEY_FILE: "/some.json"})
    assert login == Login("http://localhost:4443", None, anonymous=True)
    assert login.hadoop()["fs.gs.storage.root.url"] == "http://localhost:4443/"
    assert login.hadoop()["fs.gs.auth.type"] == "UNAUTHENTICATED"
    assert login.environment() == {EMULATOR: "http://localhost:4443"}


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (None, "cannot be read: No such file or directory"),
        ("secret", "are no JSON"),
        ("[]", "have no type, such as service_account"),
        ('{"type": "service_account", "client_email": "a", "token_uri": "b"}', "lack private_key"),
        ('{"type": "authorized_user"}', "lack refresh_token"),
    ],
)
def test_a_malformed_key_file_is_named_and_not_shown(tmp_path: Path, content: str | None, line: str) -> None:
    key = tmp_path / "key.json"
    if content is not None:
        key.write_text(content)
    with pytest.raises(BytemeterError, match=rf"^the credentials '{key}' {line}; set {KEY_FILE} to a key file") as told:
        require_credentials({KEY_FILE: str(key)}, "gs://b/p")
    assert "secret" not in str(told.value)
    assert "\n" not in str(told.value)


def test_missing_credentials_are_told_at_once() -> None:
    with pytest.raises(BytemeterError) as told:
        require_credentials(NOWHERE, "gs://b/p")
    assert str(told.value) == (
        f"there are no credentials for gs://b/p: {KEY_FILE} is not set, "
        "/nowhere/.config/gcloud/application_default_credentials.json does not exist, and this machine has no service "
        f"account; name a key file by {KEY_FILE}, or run `gcloud auth application-default login`"
    )


def test_a_login_of_gcloud_or_of_the_machine_is_enough(tmp_path: Path, tokens: Tokens) -> None:
    require_credentials(NOWHERE | {"GCE_METADATA_HOST": tokens.host}, "gs://b/p")
    (tmp_path / "application_default_credentials.json").write_text('{"type":"authorized_user","refresh_token":"r"}')
    require_credentials(NOWHERE | {"CLOUDSDK_CONFIG": str(tmp_path)}, "gs://b/p")


@BUCKET
@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "is refused by Google Cloud Storage: .*: no, says the test; check GOOGLE_APPLICATION_CREDENTIALS"),
        (403, "lacks a right to the bucket: .*: no, says the test; grant the role Storage Object User"),
    ],
)
@pytest.mark.parametrize("only", ["driver", "executor", "writing"])
def test_a_refusal_is_one_line(
    spark: SparkSession, history_root: str, object_storage: Buckets, status: int, told: str, only: str
) -> None:
    bucket = history_root.removeprefix("gs://").partition("/")[0]

    def refuse(request: Request) -> Harm | None:
        by_java = "google-api-java-client" in request.headers.get("x-goog-api-client", "") or "GHFS" in str(
            request.headers
        )
        refused = request.writes if only == "writing" else by_java == (only == "driver")
        return Harm(status, "no, says the test") if refused and request.key.startswith(f"{bucket}/") else None

    require_access(spark, history_root, writes=True)
    with object_storage.proxy.judged(refuse) as harmed, pytest.raises(BytemeterError, match=told) as caught:
        require_access(spark, history_root, writes=True)
    assert harmed
    assert str(caught.value).startswith(f"the history in {history_root} ")
    assert "\n" not in str(caught.value)
    with object_storage.proxy.judged(lambda request: refuse(request) if request.writes else None):
        require_access(spark, history_root, writes=False)


@BUCKET
def test_a_bucket_that_does_not_exist_is_one_line(spark: SparkSession, history_root: str) -> None:
    with pytest.raises(
        BytemeterError,
        match=r"^the history in gs://no-such-bucket/usage lacks a bucket .* check the bucket of BYTEMETER",
    ):
        require_access(spark, "gs://no-such-bucket/usage", writes=False)
    require_access(spark, "/no/such/folder", writes=True)


@BUCKET
def test_nothing_of_the_look_stays(spark: SparkSession, history_root: str) -> None:
    require_access(spark, history_root, writes=True)
    filesystem, path = filesystem_of(history_root)
    found = filesystem.get_file_info(FileSelector(path, allow_not_found=True, recursive=True))
    assert [info.path for info in found if info.is_file] == []


class Tokens:
    """A server that gives out tokens for keys of service accounts.

    Attributes:
        host: and port.
        asked: the bodies of the requests.
        refuses: whether it answers that the key is unknown.
    """

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.refuses = False
        tokens = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                tokens.asked.append(self.rfile.read(int(self.headers["Content-Length"])))
                refused = {"error": "invalid_grant", "error_description": "Invalid grant: account not found"}
                given = {"access_token": "the-token", "expires_in": 3600, "token_type": "Bearer"}
                self.answer(400, refused) if tokens.refuses else self.answer(200, given)

            def do_GET(self) -> None:
                self.answer(200, {})

            def answer(self, status: int, content: dict[str, Any]) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.end_headers()
                self.wfile.write(json.dumps(content).encode())

            def log_message(self, format: str, *args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def tokens() -> Iterator[Tokens]:
    tokens = Tokens()
    thread = threading.Thread(target=tokens.server.serve_forever, args=(0.05,))
    thread.start()
    yield tokens
    tokens.server.shutdown()
    tokens.server.server_close()
    thread.join()


@pytest.fixture
def key_file(tmp_path: Path, tokens: Tokens) -> Path:
    """The key of a service account that only the test's server knows."""
    generated = subprocess.run(
        ["openssl", "genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], capture_output=True, check=True
    )
    key = {
        "type": "service_account", "client_email": "jobs@tests.iam.gserviceaccount.com", "client_id": "1",
        "private_key_id": "a", "private_key": generated.stdout.decode(), "token_uri": f"http://{tokens.host}/token",
        "project_id": "tests",
    }  # fmt: skip
    path = tmp_path / "key.json"
    path.write_text(json.dumps(key))
    return path


@pytest.fixture
def login(object_storage: Buckets, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> Login:
    """A login with a key at the test's storage."""
    monkeypatch.setenv(KEY_FILE, str(key_file))
    return Login(f"http://{object_storage.host}", str(key_file))


def is_of_the_key(authorization: str) -> bool:
    """Whether a request is by the service account of ``key_file``: with a token for it, or signed by it."""
    kind, _, token = authorization.partition(" ")
    if kind != "Bearer" or token == "the-token":
        return kind == "Bearer"
    claims = token.split(".")[1]
    found = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    return bool(found["iss"] == "jobs@tests.iam.gserviceaccount.com")


def look_by_hadoop(spark: SparkSession, login: Login, uri: str) -> bool:
    jvm: Any = spark._jvm
    conf = jvm.org.apache.hadoop.conf.Configuration()
    for name, value in {**login.hadoop(), "fs.gs.impl.disable.cache": "true"}.items():
        conf.set(name, value)
    path = jvm.org.apache.hadoop.fs.Path(uri)
    return bool(path.getFileSystem(conf).exists(path))


@BUCKET
def test_both_clients_send_the_token_of_the_same_key(
    spark: SparkSession, history_root: str, object_storage: Buckets, login: Login, tokens: Tokens
) -> None:
    seen: list[str] = []

    def require_token(request: Request) -> Harm | None:
        seen.append(request.headers.get("authorization", ""))
        return None if is_of_the_key(seen[-1]) else Harm(401)

    with object_storage.proxy.judged(require_token) as refused:
        assert not look_by_hadoop(spark, login, history_root)
        by_hadoop = len(seen)
        login.filesystem().get_file_info(FileSelector(history_root.removeprefix("gs://"), allow_not_found=True))
    assert 0 < by_hadoop < len(seen)
    assert refused == []
    # pyarrow's client signs its requests by the key itself.
    assert len(tokens.asked) == 1


@BUCKET
def test_a_key_that_google_does_not_know_is_one_line_of_both_clients(
    spark: SparkSession,
    history_root: str,
    object_storage: Buckets,
    login: Login,
    tokens: Tokens,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokens.refuses = True
    expected = rf"^the history in {history_root} is refused by Google Cloud Storage: .*; check {KEY_FILE}, or run"
    monkeypatch.delenv(EMULATOR)
    with monkeypatch.context() as changed:
        changed.setattr(access, "_look_by_hadoop", lambda *_: look_by_hadoop(spark, login, history_root))
        with pytest.raises(BytemeterError, match=expected) as by_hadoop:
            require_access(spark, history_root, writes=False)
    filesystem = login.filesystem()
    unknown = Harm(401, "Invalid Credentials")
    with object_storage.proxy.judged(lambda _: unknown), pytest.raises(PermissionError) as by_pyarrow:
        filesystem.get_file_info(FileSelector(history_root.removeprefix("gs://")))
    known = access.explained(by_pyarrow.value, f"the history in {history_root}")
    assert "\n" not in str(by_hadoop.value) + str(known)
    assert str(known).startswith(f"the history in {history_root} is refused by Google Cloud Storage: ")
    assert os.environ[KEY_FILE] == login.key_file
