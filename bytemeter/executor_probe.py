"""Run by the Python of an executor (``python -c``): prints what that Python has, as one line of JSON.

It needs the standard library only, of any Python 3. Its first argument names the packages, separated by commas.
"""

import glob
import importlib
import importlib.util
import json
import pkgutil
import sys


def _version(package: str) -> object:
    """The version of an installed package; None if it is missing, or cannot be imported."""
    try:
        return str(importlib.import_module(package).__version__)
    except Exception:
        return None


def _build() -> object:
    """The build of the package bytemeter, first of a zip in this folder; empty in a checkout, None if it is missing."""
    sys.path[1:1] = sorted(glob.glob("*.zip"))  # noqa: PTH207, of any Python 3
    if importlib.util.find_spec("bytemeter") is None:
        return None
    try:
        return (pkgutil.get_data("bytemeter", "build.txt") or b"").decode().strip()
    except OSError:
        return ""


if __name__ == "__main__":
    sys.stdin.read()
    print(  # noqa: T201
        json.dumps(
            {
                "python": list(sys.version_info[:3]),
                "packages": {name: _version(name) for name in sys.argv[1].split(",")},
                "build": _build(),
            }
        )
    )
