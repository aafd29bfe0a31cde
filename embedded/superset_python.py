"""The Python of Superset's environment: its packages do not exist for each Python that this project runs on."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence

from bytemeter.errors import BytemeterError
from bytemeter.versions import SUPERSET_PYTHON


def superset_python(supported: Sequence[tuple[int, int]] = SUPERSET_PYTHON) -> str:
    """This interpreter if Superset runs on it, else another one of this machine.

    Raises:
        BytemeterError: there is none.
    """
    if sys.version_info[:2] in supported:
        return sys.executable
    for major, minor in supported:
        found = shutil.which(f"python{major}.{minor}")
        if found and _makes_environments(found):
            return found
    names = " or ".join(f"{major}.{minor}" for major, minor in supported)
    own = f"{sys.version_info[0]}.{sys.version_info[1]}"
    raise BytemeterError(
        f"Superset needs Python {names}, this is {own}; install one beside it, e.g. apt install "
        f"python{supported[-1][0]}.{supported[-1][1]}-venv"
    )


def _makes_environments(python: str) -> bool:
    """Debian's is without venv unless its package is installed; a shim of pyenv may have no Python behind it."""
    done = subprocess.run([python, "-c", "import ensurepip"], capture_output=True, check=False)
    return done.returncode == 0
