"""Checks the executors of a cluster before the first query starts, by a tiny job."""

from __future__ import annotations

import json
import pkgutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pyspark import SparkContext

from bytemeter.build import this_build
from bytemeter.errors import BytemeterError
from bytemeter.versions import EXECUTOR_PACKAGES

# Each asks an executor that is there by then; one that comes later is like them.
_MOST_TASKS = 16
# The shell says what it could not run: the error of a task would be a traceback in the log of Spark.
_RUN = 'out=$("$0" -c "$1" "$2" 2>&1 </dev/null) && printf "%s\\n" "$out" || printf "%s\\n" "$out" | tail -n 1'


def require_fitting_executors(context: SparkContext) -> None:
    """Refuse executors whose Python is another one than the driver's, or lacks what it needs.

    The job starts the executors' Python as a plain process, not as a worker of Spark: a worker of another version ends
    with a traceback. On one machine (``local``) there is no executor to ask.

    Raises:
        BytemeterError: the executors' Python does not run, is of another minor version, lacks a package or has one that
            is too old, or imports another build of this package.
    """
    if str(context.master).startswith("local"):
        return
    python = str(context.pythonExec)
    faults = {fault for line in _asked(context, python) for fault in executor_faults(line)}
    if faults:
        raise BytemeterError(f"executors run {python}: {'; '.join(sorted(faults))}")


def _asked(context: SparkContext, python: str) -> Sequence[str]:
    """What the probe prints, of each task a line."""
    java: Any = context._jsc
    tasks = max(1, min(context.defaultParallelism, _MOST_TASKS))
    rows = java.parallelize([1] * tasks, tasks)
    return list(rows.pipe(probe_command(python)).collect())


def probe_command(python: str) -> list[str]:
    """The command that an executor runs in its folder: the probe, by its Python."""
    probe = (pkgutil.get_data("bytemeter", "executor_probe.py") or b"").decode()
    return ["sh", "-c", _RUN, python, probe, ",".join(EXECUTOR_PACKAGES)]


def executor_faults(line: str) -> Iterator[str]:
    """What is wrong with an executor, and what to do; nothing if it fits.

    Args:
        line: what the probe printed there, or the last line of what its Python did.
    """
    try:
        found = json.loads(line)
    except ValueError:
        yield f"it does not run ({line[:200]}); set spark.pyspark.python to a Python of the executors"
        return
    yield from _python_faults(found["python"])
    yield from _package_faults(found["packages"])
    yield from _build_faults(found["build"])


def _python_faults(version: Sequence[int]) -> Iterator[str]:
    own = sys.version_info[:2]
    if tuple(version[:2]) != tuple(own):
        yield (
            f"it is Python {version[0]}.{version[1]}, the driver's is {own[0]}.{own[1]}; give both the same "
            "(spark.pyspark.python, spark.pyspark.driver.python)"
        )


def _package_faults(versions: Mapping[str, str | None]) -> Iterator[str]:
    for name, least in EXECUTOR_PACKAGES.items():
        version = versions[name]
        if version is None or _numbers(version) < _numbers(least):
            has = f"{name} {version}" if version else f"no {name}"
            yield f"it has {has}, expected {least} or later; install executor.txt of `make dist` there"


def _build_faults(build: str | None) -> Iterator[str]:
    if build is None:
        yield "it has no package bytemeter; give spark-submit --py-files bytemeter.zip"
    elif build != this_build():
        yield (
            f"its package bytemeter is of {_named(build)}, the driver's of {_named(this_build())}; give spark-submit "
            "the main and, by --py-files, the zip of the same `make dist`, and install bytemeter nowhere else"
        )


def _named(build: str) -> str:
    return f"the build {build}" if build else "a checkout"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
