"""Which build of ``make dist`` this package comes from, and whether a main comes from the same."""

from __future__ import annotations

import pkgutil
import re
from pathlib import Path

from bytemeter.errors import BytemeterError

_STAMP = re.compile(rb"^# build: (\w+)\s*\Z", re.MULTILINE)


def stamped(main: bytes, build: str) -> bytes:
    """The source of a main with its build as the last line."""
    return main + f"\n# build: {build}\n".encode()


def this_build() -> str:
    """The build of the package that this process imports; empty in a checkout."""
    try:
        return (pkgutil.get_data("bytemeter", "build.txt") or b"").decode().strip()
    except OSError:
        return ""


def require_same_build(main: Path) -> None:
    """Refuse a main of another build than the package that it imports. A main of a checkout has no build.

    Raises:
        BytemeterError: the builds differ.
    """
    found, build = _STAMP.search(main.read_bytes()), this_build()
    if found and found[1].decode() != build:
        raise BytemeterError(
            f"{main.name} is of the build {found[1].decode()}, the package that it imports of "
            f"{build or 'a checkout'}; give spark-submit the main and, by --py-files, the zip of the same `make dist`"
        )
