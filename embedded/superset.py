"""The embedded Superset: its process, and the dashboards in it."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import httpx

from bytemeter.errors import BytemeterError
from bytemeter.postgres import database
from bytemeter.settings import Settings
from embedded.home import HOST, SUPERSET_PORT, Daemon, Home, listens, wait_until
from embedded.stack import Notify
from embedded.superset_environment import ADMIN, Environment, set_password, superset_environment
from serving.dashboards import SUPERSET, SupersetClient
from serving.reader import ReaderLogin

_START_S = 120
# A browser asks for all charts of a dashboard at once, and Superset computes for each.
_WORKERS = 2


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
            set_password(self.folder, environment, demo=demo)
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
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
        lengths = ["--limit-request-line", "0", "--limit-request-field_size", "0"]
        self.daemon.start(
            [
                *(environment.program("gunicorn"), *workers, *lengths, "--log-level", "warning"),
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


def serve_dashboards(
    superset: SupersetServer, settings: Settings, *, demo: bool = False, lasting: bool = False
) -> SupersetClient:
    """Start Superset, let it read the database, and import our dashboards.

    Args:
        demo: see ``SupersetServer.start``.
        lasting: see ``SupersetServer.start``.

    Raises:
        BytemeterError: Superset could not be installed or started, or the database lacks the reader role.
        TransientError: PostgreSQL cannot be reached.
    """
    running = superset.start(demo=demo, lasting=lasting)
    login = ReaderLogin(database(settings.require_database_url()), superset.folder)
    running.import_assets(login.renew())
    return running


def stop_dashboards(superset: SupersetServer, settings: Settings) -> bool:
    """Stop Superset, and remove its login from the database if that can be reached; True if it was running."""
    stopped = superset.stop()
    if stopped and settings.database_url:
        with suppress(BytemeterError):
            ReaderLogin(database(settings.require_database_url()), superset.folder).drop()
    return stopped
