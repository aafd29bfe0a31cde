"""The class archive of Spark's JVM: classes as they are in memory, which a later start maps instead of loading them.

See https://docs.oracle.com/en/java/javase/17/vm/class-data-sharing.html. A JVM writes an archive when it ends, of the
classes that it has loaded. An archive fits one Java and one class path; the JVM ignores it for any other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bytemeter.cache import cached

# An archive has about 200 MB; each installation of Java and of Bytemeter needs its own.
_MOST_KEPT = 3
# Drafts of processes that were killed while they wrote.
_ABANDONED_S = 3_600
# By default the JVM prints remarks about an archive to standard output.
_QUIET = "-Xlog:disable -Xlog:all=error:stderr"


@dataclass(frozen=True)
class ClassArchive:
    """An archive in the user's cache. If it cannot be read or written, the JVM starts without it, only slower."""

    path: Path

    def exists(self) -> bool:
        """Whether an earlier JVM has written it."""
        return self.path.exists()

    def options_to_use(self) -> str:
        """The JVM's options to start from the archive."""
        return f'"-XX:SharedArchiveFile={self.path}" {_QUIET}'

    def options_to_write(self) -> str:
        """The JVM's options to write the archive when it ends."""
        with suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        return f'"-XX:ArchiveClassesAtExit={self._draft}" {_QUIET}'

    def keep(self) -> None:
        """Keep what a JVM that has ended now has written, and only the newest of the other archives."""
        with suppress(OSError):
            self._draft.rename(self.path)
            for draft in self.path.parent.glob("*.draft"):
                if time.time() - draft.stat().st_mtime > _ABANDONED_S:
                    draft.unlink()
            archives = sorted(self.path.parent.glob("*.jsa"), key=lambda path: path.stat().st_mtime)
            for old in archives[:-_MOST_KEPT]:
                old.unlink()

    @property
    def _draft(self) -> Path:
        # Of this process: two JVMs that write to one file would spoil it.
        return self.path.with_suffix(f".{os.getpid()}.draft")


def class_archive(java: Path, jars: Iterable[Path]) -> ClassArchive:
    """The archive of a Java, given by its home, and of the jars on its class path."""
    stats = {path: path.stat() for path in (java / "bin" / "java", *jars)}
    source = "\n".join(f"{path} {stat.st_size} {stat.st_mtime_ns}" for path, stat in stats.items())
    return ClassArchive(cached("spark", source, "jsa"))
