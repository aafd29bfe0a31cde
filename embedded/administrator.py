"""The administrator of the embedded Superset: its password, which is another one while the demo runs."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from bytemeter.errors import BytemeterError
from embedded.modes import OWNER_ONLY
from serving.dashboards import SUPERSET

ADMIN = "admin"
# Known to everybody: it holds while the demo runs.
DEMO_PASSWORD = "admin"  # noqa: S105


def set_password(home: Path, python: str, metadata: Path, variables: Mapping[str, str], *, demo: bool) -> None:
    """Make the administrator's password what it is to be, while Superset is down; at first use also its metadata.

    It is that of the demo, or else one that cannot be guessed and stays until a demo runs. A new password ends the
    sessions of the earlier one.

    Args:
        home: the folder of Superset's metadata, its keys and the password.
        python: of Superset's environment.
        metadata: empty metadata, without users.
        variables: by which Superset finds its settings and its home.

    Raises:
        BytemeterError: Superset failed.
    """
    path = home / "password"
    present = path.read_text() if path.exists() else None
    if present == DEMO_PASSWORD if demo else present not in (None, DEMO_PASSWORD):
        return
    wanted = DEMO_PASSWORD if demo else secrets.token_urlsafe(12)
    # Without this file the next start sets the password again, wherever this one is interrupted.
    path.unlink(missing_ok=True)
    if not (home / "superset.db").exists():
        write_secret(home / "secret_key", secrets.token_urlsafe(42))
        draft = home / "superset.draft"
        draft.touch(0o600)
        shutil.copyfile(metadata, draft)
        draft.rename(home / "superset.db")
    write_secret(home / "session_key", secrets.token_urlsafe(42))
    done = subprocess.run(
        [python, str(SUPERSET / "administrator.py")],
        input=f"{ADMIN}\n{wanted}\n",
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
        umask=OWNER_ONLY,
        start_new_session=True,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise BytemeterError(f"the password of Superset's administrator could not be set: {lines[-1]}")
    write_secret(path, wanted)


def write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner can read."""
    path.touch(mode=0o600)
    path.write_text(secret)
