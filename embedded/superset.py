"""The embedded Superset: installed once into an environment of its own, one process, its settings under the home."""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from bytemeter.errors import BytemeterError
from bytemeter.postgres import database
from bytemeter.settings import Settings
from embedded.home import HOST, SUPERSET_PORT, Daemon, Home, listens, wait_until
from serving.dashboards import SUPERSET
from serving.dashboards import Superset as RunningSuperset
from serving.reader import reader_login

Tell = Callable[[str], None]
ADMIN = "admin"
_REQUIREMENTS, _CONSTRAINTS = SUPERSET / "requirements.txt", SUPERSET / "constraints.txt"
_START_S = 120
# The charts of a dashboard are asked for at once, and each is some work for Superset itself.
_WORKERS = 2


@dataclass(frozen=True)
class Environment:
    """A virtual environment with Superset, shared by all homes of this user, and its empty metadata.

    Attributes:
        tell: is told of the steps; an error that it raises ends the installation.
    """

    tell: Tell

    @property
    def path(self) -> Path:
        """Its folder: another one for each Python and each set of requirements."""
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
        """Make it, unless that was done; takes some minutes.

        Raises:
            BytemeterError: pip or Superset failed; the line tells where the log is.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not self.metadata.exists():
                self._install()

    def _install(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir()
        self.tell("installing Superset into an environment of its own; that is done once and takes some minutes")
        self._run([sys.executable, "-m", "venv", str(self.path)])
        pip = [self.program("pip"), "install", "--disable-pip-version-check", "--no-compile", "--progress-bar", "off"]
        self._run([*pip, "-r", str(_REQUIREMENTS), "-c", str(_CONSTRAINTS)], shows=("Collecting ", "Installing "))
        self.tell("preparing Superset's metadata")
        draft = self.path / "draft"
        draft.mkdir()
        (draft / "secret_key").write_text(secrets.token_urlsafe(42))
        for command in (["db", "upgrade"], ["init"]):
            self._run([self.program("superset"), *command], environment=superset_environment(draft))
        (draft / "superset.db").rename(self.metadata)

    def _run(
        self, command: Sequence[str], *, environment: Mapping[str, str] | None = None, shows: tuple[str, ...] = ()
    ) -> None:
        """Run a step; its output goes to a log, and the lines that begin as ``shows`` says are told, too."""
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
                        self.tell(f"  {line.strip()[:100]}")
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            told = log.read_text().strip().splitlines() or ["no message"]
            raise BytemeterError(f"installing Superset failed: {told[-1]}; see {log}")


@dataclass
class Superset:
    """Starts, finds and stops the Superset of a home.

    Attributes:
        port: on which it is to listen.
        tell: is told of long steps.
    """

    home: Home
    tell: Tell
    port: int = SUPERSET_PORT
    name: str = field(default="superset", init=False)

    @property
    def folder(self) -> Path:
        """Where it keeps its metadata, its key and the administrator's password."""
        return self.home.folder(self.name)

    @property
    def log(self) -> Path:
        """What it says."""
        return self.folder / "superset.log"

    @property
    def daemon(self) -> Daemon:
        """Its process."""
        return Daemon(self.folder / "pid")

    @property
    def url(self) -> str:
        """Where it answers; the port is that of the last start."""
        remembered = self.folder / "port"
        return f"http://{HOST}:{remembered.read_text() if remembered.exists() else self.port}"

    def running(self) -> bool:
        """Whether its process is there."""
        return self.daemon.process() is not None

    def start(self, *, password: str | None = None) -> RunningSuperset:
        """Install it and make its administrator on first use, start it and wait until it answers.

        Args:
            password: of the administrator, if this is the first start; by default one that cannot be guessed.

        Raises:
            BytemeterError: a failed installation, a taken port, or not up in time.
        """
        environment = Environment(self.tell)
        environment.install()
        if not (self.folder / "password").exists():
            self._create(environment, password or secrets.token_urlsafe(12))
        if not self.running():
            self._serve(environment)
        return RunningSuperset(self.url, ADMIN, (self.folder / "password").read_text())

    def stop(self) -> bool:
        """Stop it in good order; True if it was running."""
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
            told = done.stderr.strip().splitlines() or ["no message"]
            raise BytemeterError(f"Superset's administrator could not be made: {told[-1]}")
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
            raise BytemeterError(f"Superset ended at once; its log {self.log} tells why")
        try:
            return httpx.get(f"{self.url}/health", timeout=10).status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


def serve_dashboards(superset: Superset, settings: Settings, *, password: str | None = None) -> RunningSuperset:
    """Start Superset, let it read the database, and import our dashboards.

    Args:
        password: see ``Superset.start``.

    Raises:
        BytemeterError: Superset could not be installed or started, or the database is not prepared for it.
        TransientError: PostgreSQL cannot be reached.
    """
    running = superset.start(password=password)
    running.import_assets(reader_login(database(settings.require_database_url())))
    return running


def superset_environment(home: Path) -> dict[str, str]:
    """The variables that lead Superset to our settings and to its home."""
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
