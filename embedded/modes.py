"""Who may read the files of the embedded stack: only the user who runs it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

FOLDER = 0o700
# A umask: what is made with it is readable for its owner only.
OWNER_ONLY = 0o077

# Everything that this and earlier versions put into a home.
_OURS = {"kafka", "postgresql", "superset", "history", "logs", "users", "lock", "kept", "ports"}


@contextmanager
def files_of_owner() -> Iterator[int]:
    """Files that this process and its children make meanwhile are readable for its user only; yields the umask before.

    A umask belongs to the process: enter before threads are started that make files.
    """
    before = os.umask(OWNER_ONLY)
    try:
        yield before
    finally:
        os.umask(before)


def close_home(home: Path) -> None:
    """Close a home that others may enter, as earlier versions left it, with all that is in it.

    A folder that holds anything else, such as /tmp, keeps its mode: only the folders made in it are closed.
    """
    if not home.stat().st_mode & OWNER_ONLY or {path.stem for path in home.iterdir()} - _OURS:
        return
    for folder, folders, files in os.walk(home):
        for name in (*folders, *files):
            path = Path(folder, name)
            # Servers may run, and files come and go.
            with suppress(FileNotFoundError):
                if not path.is_symlink():
                    path.chmod(path.stat().st_mode & ~OWNER_ONLY)
    # Last, so that a walk that was interrupted is repeated.
    home.chmod(FOLDER)
