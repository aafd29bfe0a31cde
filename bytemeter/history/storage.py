"""Where a history is and how to log in there: one rule for Hadoop's connector on the driver and pyarrow on executors.

``STORAGE_EMULATOR_HOST`` names an emulator, which needs no login. Else both use Google's application default
credentials: the file that ``GOOGLE_APPLICATION_CREDENTIALS`` names, that of ``gcloud auth application-default login``,
or the service account of the machine. The driver hands on to executors which of them it uses.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow.fs import FileSelector, FileSystem, GcsFileSystem

from bytemeter.errors import BytemeterError

BUCKETS = "gs://"
EMULATOR, KEY_FILE = "STORAGE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"
# As long as an executor asks a bucket that does not answer; then the query waits, and starts again.
_RETRY_S = 60
_HOST = re.compile(r"(?:(?P<scheme>https?)://)?(?P<host>[A-Za-z0-9.-]+:\d+)/?")


@dataclass(frozen=True)
class Login:
    """How to reach Google Cloud Storage.

    Attributes:
        endpoint: the URL of another server than Google's; None for Google's.
        key_file: the file that ``GOOGLE_APPLICATION_CREDENTIALS`` names, if any.
        anonymous: whether to send no credentials.
    """

    endpoint: str | None = None
    key_file: str | None = None
    anonymous: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Login:
        """The login that environment variables ask for.

        Raises:
            BytemeterError: one of them is malformed.
        """
        given = environment.get(EMULATOR)
        if not given:
            return cls(key_file=environment.get(KEY_FILE) or None)
        found = _HOST.fullmatch(given)
        if not found:
            raise BytemeterError(
                f"{EMULATOR}: {given!r} is neither HOST:PORT nor http://HOST:PORT; give e.g. localhost:4443"
            )
        return cls(endpoint=f"{found['scheme'] or 'http'}://{found['host']}", anonymous=True)

    def filesystem(self) -> FileSystem:
        """For pyarrow. A request that fails for a passing reason is sent again for a minute."""
        options: dict[str, Any] = {"anonymous": self.anonymous, "retry_time_limit": timedelta(seconds=_RETRY_S)}
        if self.endpoint:
            scheme, _, host = self.endpoint.partition("://")
            options |= {"scheme": scheme, "endpoint_override": host}
        return GcsFileSystem(**options)

    def hadoop(self) -> dict[str, str]:
        """For Hadoop's connector."""
        # Named, since Hadoop looks for file systems before spark-submit has added its jars.
        settings = {
            "fs.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFileSystem",
            "fs.AbstractFileSystem.gs.impl": "com.google.cloud.hadoop.fs.gcs.GoogleHadoopFS",
            "fs.gs.http.read-timeout": "30s",
        }
        if self.endpoint:
            settings["fs.gs.storage.root.url"] = f"{self.endpoint}/"
        if self.anonymous:
            # Emulators lack the request that moves an object.
            return settings | {"fs.gs.auth.type": "UNAUTHENTICATED", "fs.gs.operation.move.enable": "false"}
        key = _service_account_key(self.key_file)
        if key is None:
            return settings | {"fs.gs.auth.type": "APPLICATION_DEFAULT"}
        # The path, since Spark's executors do not have the driver's environment.
        return settings | {
            "fs.gs.auth.type": "SERVICE_ACCOUNT_JSON_KEYFILE",
            "fs.gs.auth.service.account.json.keyfile": str(self.key_file),
        }

    def environment(self) -> dict[str, str]:
        """Variables by which a Python process on an executor has the same login (see ``of``)."""
        if self.anonymous:
            return {EMULATOR: str(self.endpoint)}
        return {KEY_FILE: self.key_file} if self.key_file else {}


def delta_options(root: str, environment: Mapping[str, str]) -> dict[str, str]:
    """For deltalake, which finds Google's credentials as the others do: how to reach an emulator, without a login."""
    login = Login.of(environment)
    if not (login.endpoint and root.startswith(BUCKETS)):
        return {}
    key = {"gcs_base_url": login.endpoint, "disable_oauth": True}
    key |= {"client_email": "", "private_key": "", "private_key_id": ""}
    return {"google_service_account_key": json.dumps(key), "allow_http": "true"}


def use(session: Any, login: Login) -> None:
    """Let a Spark session reach buckets: its connector on the driver and executors, and the executors' Python.

    What ``spark-submit`` or the cluster has set for the connector stays, except for an emulator.

    Args:
        session: a SparkSession.
    """
    context = session.sparkContext
    hadoop = context._jsc.hadoopConfiguration()
    given = {name for name in login.hadoop() if hadoop.get(name) is not None}
    if hadoop.get("google.cloud.auth.type") is not None:
        given.add("fs.gs.auth.type")
    if "fs.gs.auth.type" in given:
        given.add("fs.gs.auth.service.account.json.keyfile")
    for name, value in login.hadoop().items():
        if login.anonymous or name not in given:
            hadoop.set(name, value)
    context.environment.update(login.environment())


@cache
def filesystem_of(table: str) -> tuple[FileSystem, str]:
    """The file system of a folder or URI, and the path in it; by the login of this process's environment."""
    # Cached: the file system of a bucket has to log in.
    if table.startswith(BUCKETS):
        return Login.of(os.environ).filesystem(), table.removeprefix(BUCKETS)
    filesystem, root = FileSystem.from_uri(table)
    return filesystem, root


def look(root: str, writes: bool, _: pa.Table) -> pa.Table:
    """List a history in a bucket and, if asked, write an object beside its tables and delete it; on an executor.

    Returns:
        One row of found: long.
    """
    filesystem, path = filesystem_of(root)
    try:
        filesystem.get_file_info(FileSelector(path))
    except OSError as error:
        # The bucket exists, and has nothing below the prefix.
        if "google::cloud::Status" in str(error):
            raise
    if writes:
        probe = f"{path}/_access/{uuid.uuid4()}"
        with filesystem.open_output_stream(probe) as output:
            output.write(b"")
        filesystem.delete_file(probe)
    return pa.table({"found": [1]})


def _service_account_key(path: str | None) -> dict[str, Any] | None:
    """The content of a key file of a service account; None if there is no file, or it is another kind of credential."""
    if path is None:
        return None
    content = read_credentials(Path(path))
    return content if content["type"] == "service_account" else None


def read_credentials(path: Path) -> dict[str, Any]:
    """What a file of credentials says.

    Raises:
        BytemeterError: it cannot be read, or is no such file. Nothing of its content is shown.
    """
    do = f"set {KEY_FILE} to a key file of a service account, or run `gcloud auth application-default login`"
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise BytemeterError(f"the credentials {str(path)!r} cannot be read: {error.strerror}; {do}") from None
    except ValueError:
        raise BytemeterError(f"the credentials {str(path)!r} are no JSON; {do}") from None
    needed = {"service_account": ("client_email", "private_key", "token_uri"), "authorized_user": ("refresh_token",)}
    kind = content.get("type") if isinstance(content, dict) else None
    if not isinstance(kind, str):
        raise BytemeterError(f"the credentials {str(path)!r} have no type, such as service_account; {do}")
    lacking = [name for name in needed.get(kind, ()) if not content.get(name)]
    if lacking:
        raise BytemeterError(f"the credentials {str(path)!r} lack {' and '.join(lacking)}; {do}")
    found: dict[str, Any] = content
    return found
