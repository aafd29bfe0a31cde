"""The folder of the embedded stack: its ports, chosen once and remembered, and its daemons' processes."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from bytemeter.errors import BytemeterError
from bytemeter.processes import lives, start_of
from embedded.modes import FOLDER, OWNER_ONLY, close_home, files_of_owner

HOST = "127.0.0.1"
# People open Superset in a browser: its port is always the same.
SUPERSET_PORT = 8088
_POLL_S = 0.05
_CHOOSING = threading.Lock()


@dataclass(frozen=True)
class Home:
    """The folder of one embedded stack: data, logs and ports of its servers, closed to all other users."""

    path: Path

    def folder(self, name: str) -> Path:
        """The absolute path of a sub-folder, which is created if it is missing.

        Raises:
            BytemeterError: the home, or the place where it is to be, belongs to another user.
        """
        home = self.path.absolute()
        try:
            home.mkdir(FOLDER, parents=True, exist_ok=True)
            close_home(home)
            folder = home / name
            folder.mkdir(FOLDER, exist_ok=True)
        except PermissionError as error:
            raise BytemeterError(
                f"the home {home} cannot be used: {error.strerror} for {error.filename}; name a folder of your own by "
                "--home or BYTEMETER_HOME"
            ) from None
        return folder

    def port(self, name: str) -> int:
        """The port of a daemon: chosen among the free ones at first use, then always the same."""
        remembered = self.folder("") / "ports.json"
        # Servers start in threads of their own, and each asks for its ports.
        with _CHOOSING:
            ports: dict[str, int] = json.loads(remembered.read_text()) if remembered.exists() else {}
            if name not in ports:
                ports[name] = free_port(set(ports.values()))
                # Written whole or not at all: another process may read it now.
                draft = remembered.with_suffix(f".{os.getpid()}")
                draft.write_text(json.dumps(ports, indent=2))
                draft.replace(remembered)
            return ports[name]

    def require_free(self, name: str) -> None:
        """Check that no other program listens on a daemon's port.

        Raises:
            BytemeterError: a program listens there.
        """
        port = self.port(name)
        if listens(port):
            raise BytemeterError(
                f"port {port}, chosen for the embedded {name}, is taken by another program; "
                f"stop that program, or delete {self.folder('') / 'ports.json'} to have new ports chosen"
            )

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold a lock, so that one command at a time starts or stops the stack; files made meanwhile are closed."""
        with files_of_owner(), (self.folder("") / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@dataclass(frozen=True)
class Daemon:
    """A process that outlives the command that started it, identified by its pid and its start."""

    pid_file: Path

    def process(self) -> psutil.Process | None:
        """The running process, or None."""
        try:
            pid, start = self.pid_file.read_text().split()
            return psutil.Process(int(pid)) if lives(int(pid), start) else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def start(self, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None) -> None:
        """Start it detached: own session, no terminal, none of the caller's file handles."""
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                close_fds=True,
                umask=OWNER_ONLY,
                env={**os.environ, **(environment or {})},
            )
        # It outlives this command: without a return code, Popen would warn that it still runs.
        child.returncode = 0
        self.note(self.pid_file, child.pid)

    @staticmethod
    def note(pid_file: Path, pid: int) -> None:
        """Write a process's pid and start to a file, by which it is found again."""
        # Written whole or not at all: another process may read it now.
        draft = pid_file.with_suffix(".draft")
        draft.write_text(f"{pid} {start_of(pid)}")
        draft.replace(pid_file)

    def stop(self, timeout_s: float = 30) -> bool:
        """Stop it by SIGTERM, after the timeout by SIGKILL; True if it was running."""
        process = self.process()
        if process is None:
            return False
        for ending in (signal.SIGTERM, signal.SIGKILL):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(ending)
            deadline = time.monotonic() + timeout_s
            # Not waited for: it stays a zombie while the process that has started it lives.
            while self.process() and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            if not self.process():
                break
        self.pid_file.unlink(missing_ok=True)
        return True


def wait_until(ready: Callable[[], bool], *, what: str, log: Path, timeout_s: float = 60) -> None:
    """Poll until ready.

    Raises:
        BytemeterError: not ready in time; the message names the log.
    """
    deadline = time.monotonic() + timeout_s
    while not ready():
        if time.monotonic() > deadline:
            raise BytemeterError(f"{what} was not up after {timeout_s:.0f} s; see its log {log}")
        time.sleep(_POLL_S)


def listens(port: int) -> bool:
    """Whether something accepts connections on the port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def free_port(taken: Collection[int] = ()) -> int:
    """A port of this machine on which nothing listens and that is not in ``taken``."""
    while True:
        with socket.socket() as probe:
            probe.bind((HOST, 0))
            port: int = probe.getsockname()[1]
        if port not in taken:
            return port
