"""The run's object storage: fake-gcs-server in memory behind a proxy that can do harm, a bucket for each test."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bytemeter.cache import cached
from embedded.home import HOST, free_port, listens, wait_until
from tests.proxy import Proxy

# A test with this mark runs twice: with its history in a folder, and in a bucket.
FOLDER_AND_BUCKET = pytest.mark.parametrize("history_root", ["folder", "bucket"], indirect=True)
BUCKET = pytest.mark.parametrize("history_root", ["bucket"], indirect=True)

REQUIRED_OPTION = "--require-buckets"
_SERVER = "github.com/fsouza/fake-gcs-server@v1.56.1"
_GO = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local"}


def server_program() -> Path | str:
    """The program fake-gcs-server, built by Go unless the user's cache has it; a line that says what is missing."""
    program = cached("fake-gcs-server", _SERVER, "bin")
    program.parent.mkdir(parents=True, exist_ok=True)
    with program.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if program.exists():
            return program
        go = shutil.which("go")
        if go is None:
            return "tests with buckets need Go 1.26 or later, to build fake-gcs-server: install Go"
        with tempfile.TemporaryDirectory(dir=program.parent) as folder:
            built = subprocess.run(
                [go, "install", _SERVER], env={**os.environ, **_GO, "GOBIN": folder}, capture_output=True, check=False
            )
            if built.returncode:
                *_, last = built.stderr.decode().strip().splitlines() or ["no message"]
                return f"fake-gcs-server cannot be built by Go: {last}"
            (Path(folder) / "fake-gcs-server").rename(program)
    return program


class Buckets:
    """The object storage of a run, behind a proxy that runs in this process.

    So files of a bucket are read by executors or by ``tests.histories.delta_table``, never by pyarrow in this process:
    when pyarrow opens a file of a bucket, it waits for the answer without letting other threads run.
    """

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy

    @property
    def host(self) -> str:
        """For STORAGE_EMULATOR_HOST."""
        return f"{HOST}:{self.proxy.port}"

    def create(self, bucket: str) -> str:
        """Create a bucket; returns its URI."""
        request = urllib.request.Request(
            f"http://{self.host}/storage/v1/b?project=tests",
            json.dumps({"name": bucket}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310, of this machine
            assert answer.status == 200
        return f"gs://{bucket}"


@contextmanager
def buckets(program: Path, folder: Path, port: int) -> Iterator[Buckets]:
    """Object storage in memory, at a port of this machine; it ends with the context."""
    behind, log = free_port({port}), folder / "fake-gcs-server.log"
    command = [
        str(program), "-backend", "memory", "-scheme", "http", "-host", HOST, "-port", str(behind),
        "-public-host", f"{HOST}:{port}", "-external-url", f"http://{HOST}:{port}", "-log-level", "error",
    ]  # fmt: skip
    with log.open("w") as output:
        server = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            wait_until(lambda: listens(behind), what="fake-gcs-server", log=log)
            with Proxy(port, behind) as proxy:
                yield Buckets(proxy)
        finally:
            server.terminate()
            server.wait()
