"""Where the embedded Superset runs: an environment that is installed once, its variables, its administrator."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from bytemeter.errors import BytemeterError
from embedded.modes import OWNER_ONLY
from serving.dashboards import SUPERSET

ADMIN = "admin"
# Known to everybody: it holds while the demo runs.
DEMO_PASSWORD = "admin"  # noqa: S105
_REQUIREMENTS, _CONSTRAINTS = SUPERSET / "requirements.txt", SUPERSET / "constraints.txt"
_POLL_S = 0.2


@dataclass(frozen=True)
class Environment:
    """A virtual environment with Superset, shared by all homes of this user, and its empty metadata.

    Attributes:
        notify: called with a line at each step.
        unless_stopped: called again and again; an error that it raises ends the installation.
    """

    notify: Callable[[str], None]
    unless_stopped: Callable[[], None] = lambda: None

    @property
    def path(self) -> Path:
        """Its folder, named by a hash of the Python version and the requirements."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        wanted = _REQUIREMENTS.read_bytes() + _CONSTRAINTS.read_bytes() + sys.version.encode()
        return cache / "bytemeter" / f"superset-{hashlib.sha256(wanted).hexdigest()[:12]}"

    @property
    def metadata(self) -> Path:
        """A metadata database with its tables and roles, without users or assets."""
        return self.path / "empty.db"

    def program(self, name: str) -> str:
        """The path of a program of the environment."""
        return str(self.path / "bin" / name)

    def install(self) -> None:
        """Create the environment unless it exists; takes some minutes.

        Raises:
            BytemeterError: pip or Superset failed; the message names the log.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.metadata.exists():
                self._install()

    def _install(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        self.notify("installing Superset into an environment of its own: once, some minutes")
        self._run([sys.executable, "-m", "venv", str(self.path)])
        pip = [self.program("pip"), "install", "--disable-pip-version-check", "--no-compile", "--progress-bar", "off"]
        self._run([*pip, "-r", str(_REQUIREMENTS), "-c", str(_CONSTRAINTS)], shows=("Collecting ", "Installing "))
        self.notify("preparing Superset's metadata")
        draft = self.path / "draft"
        draft.mkdir()
        (draft / "secret_key").write_text(secrets.token_urlsafe(42))
        for command in (["db", "upgrade"], ["init"]):
            self._run([self.program("superset"), *command], environment=superset_environment(draft))
        (draft / "superset.db").rename(self.metadata)

    def _run(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, shows: tuple[str, ...] = ()
    ) -> None:
        """Run a step; its output goes to a log, lines that begin with one of ``shows`` also to ``notify``."""
        log = self.path / "install.log"
        process = subprocess.Popen(
            command,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A signal to our group ends the step through us.
            start_new_session=True,
        )
        with process, log.open("a") as written, ThreadPoolExecutor(1) as copying:
            copied = copying.submit(self._copy, process, written, shows)
            try:
                while not wait([copied], _POLL_S).done:
                    self.unless_stopped()
                copied.result()
            except BaseException:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGTERM)
                raise
        if process.returncode:
            lines = log.read_text().strip().splitlines() or ["no message"]
            raise BytemeterError(f"installing Superset failed: {lines[-1]}; see {log}")

    def _copy(self, process: subprocess.Popen[str], log: TextIO, shows: tuple[str, ...]) -> None:
        for line in process.stdout or ():
            log.write(line)
            if shows and line.startswith(shows):
                self.notify(f"  {line.strip()[:100]}")


def superset_environment(home: Path) -> dict[str, str]:
    """The environment variables by which Superset finds our settings and its home."""
    return {
        "SUPERSET_CONFIG_PATH": str(SUPERSET / "superset_config.py"),
        "BYTEMETER_SUPERSET_HOME": str(home),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "TZ": "UTC",
    }


def set_password(home: Path, environment: Environment, *, demo: bool) -> None:
    """Make the administrator's password what it is to be, while Superset is down; at first use also its metadata.

    It is that of the demo, or else one that cannot be guessed and stays until a demo runs. A new password ends the
    sessions of the earlier one.

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
        shutil.copyfile(environment.metadata, draft)
        draft.rename(home / "superset.db")
    write_secret(home / "session_key", secrets.token_urlsafe(42))
    done = subprocess.run(
        [environment.program("python"), str(SUPERSET / "administrator.py")],
        input=f"{ADMIN}\n{wanted}\n",
        env={**os.environ, **superset_environment(home)},
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
