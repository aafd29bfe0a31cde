"""The embedded Superset: installed once into an environment of its own, one process, its settings under the home."""

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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TextIO

import httpx

from bytemeter.errors import BytemeterError
from embedded import locked
from embedded.administrator import ADMIN, set_password
from embedded.home import HOST, SUPERSET_PORT, Daemon, Home, listens, wait_until
from embedded.modes import files_of_owner
from embedded.stack import Notify
from embedded.superset_python import superset_python
from serving.dashboards import SUPERSET, SupersetClient

_LOCK = SUPERSET / "requirements.txt"
_START_S = 120
_POLL_S = 0.2
# A browser asks for all charts of a dashboard at once, and Superset computes for each.
_WORKERS = 2
# For requests that are being answered when it is stopped: less than a command may take for its end.
_END_S = 5


@dataclass(frozen=True)
class Environment:
    """A virtual environment with Superset, shared by all homes of this user, and its empty metadata.

    Attributes:
        notify: called with a line at each step.
        unless_stopped: called again and again; an error that it raises ends the installation.
    """

    notify: Notify
    unless_stopped: Callable[[], None] = lambda: None

    @property
    def path(self) -> Path:
        """Its folder, named by a hash of the Python version and the lock."""
        cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        wanted = _LOCK.read_bytes() + sys.version.encode()
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
            BytemeterError: no Python fits; or uv and pip, or Superset, failed: the message names the log.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.metadata.exists():
                self._install()

    def _install(self) -> None:
        python = superset_python()
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        self.notify("installing Superset into an environment of its own: once, some minutes")
        self._run([python, "-m", "venv", str(self.path)])
        shows = partial(self._run, shows=("Downloading ", "Installed ", "Collecting ", "Installing "))
        locked.install(self.program("python"), [_LOCK], shows, self.notify)
        self.notify("preparing Superset's metadata")
        draft = self.path / "draft"
        draft.mkdir()
        (draft / "secret_key").write_text(secrets.token_urlsafe(42))
        for command in (["db", "upgrade"], ["init"]):
            self._run([self.program("superset"), *command], environment=superset_environment(draft))
        (draft / "superset.db").rename(self.metadata)

    def _run(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, *, shows: tuple[str, ...] = ()
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


@dataclass
class SupersetServer:
    """Starts and stops the Superset of a home, and says whether it runs.

    Attributes:
        port: on which it is to listen.
        notify: called with a line at each long step.
        unless_stopped: called again and again while it starts; an error that it raises ends the start.
    """

    home: Home
    notify: Notify
    port: int = SUPERSET_PORT
    unless_stopped: Callable[[], None] = lambda: None
    name: str = field(default="superset", init=False)
    _held: TextIO | None = field(default=None, init=False, repr=False)

    @property
    def folder(self) -> Path:
        """The folder of its metadata, its keys and the administrator's password."""
        return self.home.folder(self.name)

    @property
    def log(self) -> Path:
        """The path of its log."""
        return self.folder / "superset.log"

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return Daemon(self.folder / "pid")

    @property
    def url(self) -> str:
        """Its URL; the port is that of the last start."""
        remembered = self.folder / "port"
        return f"http://{HOST}:{remembered.read_text() if remembered.exists() else self.port}"

    def running(self) -> bool:
        """Whether its process runs."""
        return self.daemon.process() is not None

    def start(self, *, demo: bool = False, lasting: bool = False) -> SupersetClient:
        """Start it unless it runs, and wait until it answers; at first use also install it.

        Args:
            demo: whether the administrator's password is to be that of the demo, until the next start without it.
            lasting: whether it runs on when this process ends; else it ends with it (or with this object), however
                that happens.

        Raises:
            BytemeterError: a failed installation, a taken port, or not up in time; or it is to last, and ends with
                another command.
        """
        environment = Environment(self.notify, self.unless_stopped)
        environment.install()
        if self.running() and self._ends_with.exists():
            if self._abandoned():
                self.daemon.stop()
            elif lasting:
                raise BytemeterError(
                    "Superset serves another command of this home, and ends with it; end that command first"
                )
        if not self.running():
            self._require_free_port()
            variables = superset_environment(self.folder)
            with files_of_owner():
                set_password(self.folder, environment.program("python"), environment.metadata, variables, demo=demo)
                self._serve(environment, lasting=lasting)
        return SupersetClient(self.url, ADMIN, (self.folder / "password").read_text())

    def stop(self) -> bool:
        """Stop it; True if it was running."""
        stopped = self.daemon.stop()
        if self._held:
            self._held.close()
            self._held = None
        return stopped

    @property
    def _ends_with(self) -> Path:
        """The file whose lock is held by the process with which it ends."""
        return self.folder / "ends_with"

    def _abandoned(self) -> bool:
        """Whether it is about to end, because the process with which it ends has ended."""
        if self._held:
            return False
        with self._ends_with.open() as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        return True

    def _require_free_port(self) -> None:
        if listens(self.port):
            raise BytemeterError(f"port {self.port} for Superset is taken by another program; choose one with --port")

    def _serve(self, environment: Environment, *, lasting: bool) -> None:
        (self.folder / "port").write_text(str(self.port))
        self._ends_with.unlink(missing_ok=True)
        variables = superset_environment(self.folder)
        if not lasting:
            self._held = self._ends_with.open("w")
            fcntl.flock(self._held, fcntl.LOCK_EX)
            variables["BYTEMETER_SUPERSET_ENDS_WITH"] = str(self._ends_with)
        workers = ["--workers", str(_WORKERS), "--worker-class", "gthread", "--threads", "8", "--timeout", "120"]
        ending = ["--graceful-timeout", str(_END_S)]
        lengths = ["--limit-request-line", "0", "--limit-request-field_size", "0"]
        self.daemon.start(
            [
                *(environment.program("gunicorn"), *workers, *ending, *lengths, "--log-level", "warning"),
                *("--config", str(SUPERSET / "gunicorn_hooks.py")),
                *("--bind", f"{HOST}:{self.port}", "superset.app:create_app()"),
            ],
            self.log,
            variables,
        )
        wait_until(self._answers, what="Superset", log=self.log, timeout_s=_START_S)

    def _answers(self) -> bool:
        self.unless_stopped()
        if not self.running():
            raise BytemeterError(f"Superset ended at its start; see its log {self.log}")
        try:
            return httpx.get(f"{self.url}/health", timeout=10).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def superset_environment(home: Path) -> dict[str, str]:
    """The environment variables by which Superset finds our settings and its home."""
    return {
        "SUPERSET_CONFIG_PATH": str(SUPERSET / "superset_config.py"),
        "BYTEMETER_SUPERSET_HOME": str(home),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "TZ": "UTC",
    }
