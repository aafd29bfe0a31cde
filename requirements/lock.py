"""``make lock``: raises the locked versions, or those of one package alone (``make lock ONLY=numpy``).

A lock is a requirements file with the hashes of all files of each package, for every platform and for Python 3.11 and
later. It names no index: whoever installs from it uses the index of their own pip settings.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from embedded.locked import uv_settings

ROOT = Path(__file__).parent.parent
# notebooks.txt holds all that the others of this project hold.
_AS_NOTEBOOKS = ("-c", "requirements/notebooks.txt")


def _extras(*names: str) -> tuple[str, ...]:
    return tuple(part for name in names for part in ("--extra", name))


# What each lock is made from, and the lock whose versions it takes. In this order.
SOURCES: dict[str, tuple[str, ...]] = {
    "requirements/uv.txt": ("requirements/uv.in",),
    "requirements/notebooks.txt": (
        *("pyproject.toml", "requirements/spark-4.0.in"),
        *_extras("test", "dev", "bench", "notebooks", "lab"),
    ),
    "requirements/bench.txt": ("pyproject.toml", *_extras("test", "dev", "bench", "notebooks"), *_AS_NOTEBOOKS),
    "requirements/dev.txt": ("pyproject.toml", *_extras("test", "dev", "notebooks"), *_AS_NOTEBOOKS),
    "requirements/run.txt": ("pyproject.toml", *_AS_NOTEBOOKS),
    "requirements/executor.txt": ("requirements/executor.in", "-c", "requirements/run.txt"),
    "requirements/spark-4.1.txt": ("requirements/spark-4.1.in",),
    "requirements/java-21.txt": ("requirements/java-21.in",),
    "requirements/go.txt": ("requirements/go.in",),
    "requirements/build.txt": ("requirements/build.in", *_AS_NOTEBOOKS),
    "serving/superset/requirements.txt": ("serving/superset/requirements.in",),
    "benchmarks/flink/requirements.txt": ("benchmarks/flink/requirements.in",),
}
_COMPILE = (
    *("pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"),
    *("--no-emit-index-url", "--no-emit-find-links", "--custom-compile-command", "make lock"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Write all locks anew."""
    parser = argparse.ArgumentParser(prog="python -m requirements.lock", description=main.__doc__)
    parser.add_argument("--only", metavar="PACKAGE", help="raise this one alone, the others stay")
    only = parser.parse_args(argv).only
    raised = ["--upgrade-package", only] if only else ["--upgrade"]
    environment = {**os.environ, **uv_settings(sys.executable)}
    uv = str(Path(sys.executable).with_name("uv"))
    for lock, sources in SOURCES.items():
        done = subprocess.run([uv, *_COMPILE, *raised, *sources, "-o", lock], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            print(f"bytemeter: {lock} stays as it was: uv failed, see above", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
