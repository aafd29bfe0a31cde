"""Which processes use the embedded stack: the last one to end stops it, unless `bytemeter up` has left it running."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass
from pathlib import Path

from embedded.home import Daemon, Home


@dataclass(frozen=True)
class StackUsers:
    """The users of a home's stack: one file each, with the pid and the start time of the process.

    Call its methods while the home is locked. A process that has died is no user any more.
    """

    home: Home

    def add(self) -> Path:
        """Register this process; returns the file that stands for it."""
        entry = self._folder / f"{os.getpid()}-{uuid.uuid4().hex}"
        Daemon.note(entry, os.getpid())
        return entry

    def remove(self, entry: Path) -> None:
        """Remove a user that ``add`` has registered."""
        entry.unlink(missing_ok=True)

    def any(self) -> bool:
        """Whether a living process uses the stack; the entries of dead ones are removed."""
        alive = False
        for entry in self._folder.iterdir():
            if Daemon(entry).process() is None:
                entry.unlink(missing_ok=True)
            else:
                alive = True
        return alive

    @property
    def kept(self) -> bool:
        """Whether the stack is to run on without users."""
        return self._kept.exists()

    def keep(self, *, kept: bool) -> None:
        """Say whether the stack is to run on without users."""
        if kept:
            self._kept.touch()
        else:
            self._kept.unlink(missing_ok=True)

    @property
    def _folder(self) -> Path:
        return self.home.folder("users")

    @property
    def _kept(self) -> Path:
        return self.home.folder("") / "kept"
