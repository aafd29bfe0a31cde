"""Whether a job can use its history: looked at before anything is counted, on the driver and on an executor."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.executors import map_tables
from bytemeter.history.storage import BUCKETS, KEY_FILE, Login, look, read_credentials
from bytemeter.spark_errors import causes, explained

_METADATA_S = 3.0


def require_access(session: SparkSession, root: str, *, writes: bool) -> None:
    """Check that the driver and an executor reach the bucket of a history; a folder is not looked at.

    Args:
        root: folder or URI of the history.
        writes: whether the job writes: then an executor makes an object and deletes it.

    Raises:
        BytemeterError: credentials, the bucket or a right are missing.
        TransientError: the bucket cannot be reached.
    """
    if not root.startswith(BUCKETS):
        return
    try:
        require_credentials(os.environ, root)
        _look_by_hadoop(session, root)
        map_tables(session.range(1), partial(look, root, writes), "found long").collect()
    except (Py4JError, PySparkException) as error:
        known = explained(error, f"the history in {root}")
        if known:
            raise known from error
        *_, innermost = causes(error)
        raise BytemeterError(f"the history in {root} cannot be used: {innermost.line}; check BYTEMETER_HISTORY and "
                             f"{KEY_FILE}") from error  # fmt: skip


def require_credentials(environment: Mapping[str, str], root: str) -> None:
    """Check that there are credentials for a bucket: clients without any would look for them for many minutes.

    Raises:
        BytemeterError: there are none, or their file is malformed.
    """
    login = Login.of(environment)
    if login.anonymous:
        return
    folder = environment.get("CLOUDSDK_CONFIG") or str(
        Path(environment.get("HOME", "~")).expanduser() / ".config/gcloud"
    )
    of_user = Path(folder) / "application_default_credentials.json"
    if login.key_file or of_user.exists():
        read_credentials(Path(login.key_file or of_user))
    elif not _is_on_google(environment):
        raise BytemeterError(
            f"there are no credentials for {root}: {KEY_FILE} is not set, {of_user} does not exist, and this machine "
            f"has no service account; name a key file by {KEY_FILE}, or run `gcloud auth application-default login`"
        )


def _is_on_google(environment: Mapping[str, str]) -> bool:
    """Whether the machine has a server that knows its service account."""
    host = environment.get("GCE_METADATA_HOST") or "metadata.google.internal"
    url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/email"
    try:
        request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
        with urllib.request.urlopen(request, timeout=_METADATA_S):  # noqa: S310
            return True
    except OSError:
        return False


def _look_by_hadoop(session: SparkSession, root: str) -> None:
    jvm: Any = session._jvm
    path = jvm.org.apache.hadoop.fs.Path(root)
    path.getFileSystem(session._jsparkSession.sessionState().newHadoopConf()).exists(path)
