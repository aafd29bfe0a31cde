"""The embedded PostgreSQL 18: a real server on a TCP port, its data under the home."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO
from urllib.parse import quote

import psutil

from bytemeter.errors import BytemeterError
from embedded.home import HOST, Home
from embedded.modes import FOLDER, OWNER_ONLY
from embedded.programs import SystemUser, client

_OWNER = "bytemeter"
_DATABASE = "bytemeter"
_MIB = 2**20


class Database:
    """Starts and stops the PostgreSQL of a home, and says whether it runs."""

    name = "postgresql"

    def __init__(self, home: Home) -> None:
        self.home = home
        self.folder = home.folder(self.name)
        self.data = self.folder / "data"
        self.log = self.data / "server.log"
        self.user = SystemUser() if os.geteuid() == 0 else None

    @property
    def url(self) -> str:
        """Its URL, with the password that the first start chose."""
        password = quote((self.folder / "password").read_text())
        return f"postgresql://{_OWNER}:{password}@{HOST}:{self.home.port(self.name)}/{_DATABASE}"

    def running(self) -> bool:
        """Whether its postmaster runs."""
        try:
            process = psutil.Process(int((self.data / "postmaster.pid").read_text().split()[0]))
            # Another home's server may have the number that ours had when the machine was switched off.
            ours = f"port={self.home.port(self.name)}" in process.cmdline()
            return ours and process.name().startswith("postgres")
        except (FileNotFoundError, IndexError, ValueError, psutil.NoSuchProcess):
            return False

    def prepare(self) -> None:
        """Choose its port, before anything is started."""
        self.home.port(self.name)

    def start(self) -> None:
        """Create the cluster on first use, start the server and wait until it answers.

        Raises:
            BytemeterError: a taken port, or the server did not start.
        """
        self.home.require_free(self.name)
        if not (self.data / "PG_VERSION").exists():
            self._create()
        options = [f"-c {name}={value}" for name, value in self._server_settings().items()]
        log = self._within(self.data) + "/server.log"
        self._run("pg_ctl", "-w", "-t", "60", "-l", log, "-o", " ".join(options), "start")

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
        # Created beside its place: a creation that is interrupted leaves a folder that looks complete.
        draft = self.data.with_suffix(".draft")
        for folder in (self.data, draft):
            shutil.rmtree(folder, ignore_errors=True)
        draft.mkdir(FOLDER)
        password = secrets.token_urlsafe(16)
        path = self.folder / "password"
        path.touch(0o600)
        path.write_text(password)
        with tempfile.TemporaryFile("w+") as given:
            given.write(password)
            given.seek(0)
            if self.user:
                for mine in (draft, given.fileno()):
                    os.chown(mine, self.user.entry.pw_uid, self.user.entry.pw_gid)
            login = ["-U", _OWNER, "--pwfile", "/dev/stdin", "-A", "scram-sha-256"]
            self._run("initdb", *login, "-E", "UTF8", "--locale=C", folder=draft, stdin=given)
        with tempfile.TemporaryFile("w+") as given:
            given.write(f"create database {_DATABASE}\n")
            given.seek(0)
            # Created in single-user mode, so that a started server always has the database.
            self._run("postgres", "--single", "postgres", folder=draft, stdin=given)
        draft.rename(self.data)

    def _within(self, folder: Path) -> str:
        """The data folder as the server knows it: its own user cannot reach its path, but starts in it."""
        return "/proc/self/cwd" if self.user else str(folder)

    def _run(
        self, program: str, *arguments: str, folder: Path | None = None, stdin: IO[str] | int = subprocess.DEVNULL
    ) -> None:
        """Run a program of PostgreSQL on the data folder, out of reach of the signals that end this command.

        Raises:
            BytemeterError: it failed; the message has the last line of its output.
        """
        folder = folder or self.data
        programs = self.user.programs() if self.user else client(program).parent
        data = ["-D", self._within(folder)]
        # The mode of the server has to stand first.
        mode, options = (arguments[:1], arguments[1:]) if program == "postgres" else ((), arguments)
        output = self.folder / f"{program}.log"
        with output.open("w") as written:
            done = subprocess.run(
                [str(programs / program), *mode, *data, *options],
                stdin=stdin,
                stdout=written,
                stderr=written,
                cwd=folder,
                umask=OWNER_ONLY,
                start_new_session=True,
                check=False,
                **(self.user.identity if self.user else {}),
            )
        if done.returncode:
            lines = output.read_text().strip().splitlines() or ["no message"]
            raise BytemeterError(
                f"{program} of the embedded PostgreSQL failed: {lines[-1]}; see {output} and {self.log}"
            )
