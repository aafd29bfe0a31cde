"""The embedded Superset: installed once into an environment of its own, one process, its settings under the home."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import httpx

from bytemeter.errors import BytemeterError
from bytemeter.postgres import database
from bytemeter.settings import Settings
from embedded import locked
from embedded.home import HOST, SUPERSET_PORT, Daemon, Home, listens, wait_until
from embedded.stack import Notify
from serving.dashboards import SUPERSET, SupersetClient
from serving.reader import reader_login

ADMIN = "admin"
_LOCK = SUPERSET / "requirements.txt"
_START_S = 120
# A browser asks for all charts of a dashboard at once, and Superset computes for each.
_WORKERS = 2


@dataclass(frozen=True)
class Environment:
    """A virtual environment with Superset, shared by all homes of this user, and its empty metadata.

    Attributes:
        notify: called with a line at each step; an error that it raises ends the installation.
    """

    notify: Notify

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
            BytemeterError: uv and pip, or Superset, failed; the message names the log.
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
        shows = partial(self._run, shows=("Downloading ", "Installed ", "Collecting ", "Installing "))
        locked.install(self.program("python"), _LOCK, shows, self.notify)
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
        )
        if process.stdout is None:
            raise AssertionError
        with process, log.open("a") as written:
            try:
                for line in process.stdout:
                    written.write(line)
                    if shows and line.startswith(shows):
                        self.notify(f"  {line.strip()[:100]}")
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            lines = log.read_text().strip().splitlines() or ["no message"]
            raise BytemeterError(f"installing Superset failed: {lines[-1]}; see {log}")


@dataclass
class SupersetServer:
    """Starts and stops the Superset of a home, and says whether it runs.

    Attributes:
        port: on which it is to listen.
        notify: called with a line at each long step.
    """

    home: Home
    notify: Notify
    port: int = SUPERSET_PORT
    name: str = field(default="superset", init=False)

    @property
    def folder(self) -> Path:
        """The folder of its metadata, its key and the administrator's password."""
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

    def start(self, *, password: str | None = None) -> SupersetClient:
        """Start it and wait until it answers; at first use also install it and create its administrator.

        Args:
            password: of the administrator, if this is the first start; by default one that cannot be guessed.

        Raises:
            BytemeterError: a failed installation, a taken port, or not up in time.
        """
        environment = Environment(self.notify)
        environment.install()
        if not (self.folder / "password").exists():
            self._create(environment, password or secrets.token_urlsafe(12))
        if not self.running():
            self._serve(environment)
        return SupersetClient(self.url, ADMIN, (self.folder / "password").read_text())

    def stop(self) -> bool:
        """Stop it; True if it was running."""
        return self.daemon.stop()

    def _create(self, environment: Environment, password: str) -> None:
        shutil.copy(environment.metadata, self.folder / "superset.db")
        _write_secret(self.folder / "secret_key", secrets.token_urlsafe(42))
        done = subprocess.run(
            [environment.program("python"), str(SUPERSET / "create_admin.py")],
            input=f"{ADMIN}\n{password}\n",
            env={**os.environ, **superset_environment(self.folder)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["no message"]
            raise BytemeterError(f"Superset's administrator could not be created: {lines[-1]}")
        _write_secret(self.folder / "password", password)

    def _serve(self, environment: Environment) -> None:
        if listens(self.port):
            raise BytemeterError(f"port {self.port} for Superset is taken by another program; choose one with --port")
        (self.folder / "port").write_text(str(self.port))
        workers = ["--workers", str(_WORKERS), "--worker-class", "gthread", "--threads", "8", "--timeout", "120"]
        lengths = ["--limit-request-line", "0", "--limit-request-field_size", "0"]
        self.daemon.start(
            [
                *(environment.program("gunicorn"), *workers, *lengths, "--log-level", "warning"),
                *("--bind", f"{HOST}:{self.port}", "superset.app:create_app()"),
            ],
            self.log,
            superset_environment(self.folder),
        )
        wait_until(self._answers, what="Superset", log=self.log, timeout_s=_START_S)

    def _answers(self) -> bool:
        if not self.running():
            raise BytemeterError(f"Superset ended at its start; see its log {self.log}")
        try:
            return httpx.get(f"{self.url}/health", timeout=10).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def serve_dashboards(superset: SupersetServer, settings: Settings, *, password: str | None = None) -> SupersetClient:
    """Start Superset, let it read the database, and import our dashboards.

    Args:
        password: see ``SupersetServer.start``.

    Raises:
        BytemeterError: Superset could not be installed or started, or the database lacks the reader role.
        TransientError: PostgreSQL cannot be reached.
    """
    running = superset.start(password=password)
    running.import_assets(reader_login(database(settings.require_database_url())))
    return running


def superset_environment(home: Path) -> dict[str, str]:
    """The environment variables by which Superset finds our settings and its home."""
    return {
        "SUPERSET_CONFIG_PATH": str(SUPERSET / "superset_config.py"),
        "BYTEMETER_SUPERSET_HOME": str(home),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "TZ": "UTC",
    }


def _write_secret(path: Path, secret: str) -> None:
    path.touch(mode=0o600)
    path.write_text(secret)
