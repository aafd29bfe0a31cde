"""A standalone Spark cluster on this machine: a master and workers as processes, executors with a Python of their own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pyspark
from packaging.requirements import Requirement
from psutil import process_iter

from bytemeter.history.storage import EMULATOR
from bytemeter.jars import GCS, resolve, spark_coordinates
from bytemeter.java import java_home
from embedded.home import HOST, free_port, listens, wait_until

_SPARK = Path(pyspark.__file__).parent
_MOST_S, _BETWEEN_LOOKS_S = 300, 0.5
# What docs/architecture.md asks of executors.
EXECUTOR_PACKAGES = ("numpy", "pandas", "pyarrow")

SECRET = secrets.token_urlsafe(24)
# As docs/commands.md says.
_AUTHENTICATED = """
spark.authenticate            true
spark.authenticate.secret     {secret}
spark.network.crypto.enabled  true
"""


@dataclass(frozen=True)
class Cluster:
    """A running cluster.

    Attributes:
        python: the interpreter of the executors: it has pyarrow, pandas and numpy, and nothing of ours.
        dist: a folder with what ``make dist`` builds.
        properties: a file with the secret by which the processes authenticate each other.
        arguments: of all processes that were seen while mains ran.
    """

    master: str
    python: Path
    dist: Path
    properties: Path
    arguments: set[str] = field(default_factory=set)

    def submit(self, main: str, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run one of the mains by ``spark-submit`` and wait for its end."""
        jars = ",".join(str(jar) for jar in resolve((*spark_coordinates(), GCS)) if not _bundled(jar))
        options = {
            "spark.pyspark.python": str(self.python),
            "spark.pyspark.driver.python": sys.executable,
            "spark.driver.host": HOST,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1g",
            "spark.cores.max": "2",
            "spark.ui.enabled": "false",
        }
        confs = [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
        command = [
            *(_program("spark-submit"), "--master", self.master, "--properties-file", str(self.properties)),
            *("--jars", jars, *confs),
            *("--py-files", str(self.dist / "bytemeter.zip"), str(self.dist / main), *arguments),
        ]
        with (self.dist / "submitted.err").open("w+") as errors:
            # Not from the checkout: the packages are those of the zip.
            process = subprocess.Popen(
                command,
                cwd=self.dist,
                env=_environment() | {EMULATOR: os.environ[EMULATOR]},
                stdout=errors,
                stderr=errors,
            )
            deadline = time.monotonic() + _MOST_S
            while (code := _ended(process)) is None:
                assert time.monotonic() < deadline
                self.arguments.update(" ".join(seen.info["cmdline"] or ()) for seen in process_iter(["cmdline"]))
            errors.seek(0)
            return subprocess.CompletedProcess(command, code, "", errors.read())


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code, or None if the process still runs after a moment."""
    try:
        return process.wait(_BETWEEN_LOOKS_S)
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def cluster(folder: Path, dist: Path, workers: int = 2) -> Iterator[Cluster]:
    """A master and workers of one core each; all end with the context."""
    port, properties = free_port(), folder / "spark.conf"
    properties.touch(mode=0o600)
    properties.write_text(_AUTHENTICATED.format(secret=SECRET))
    common = ("--properties-file", str(properties), "--host", HOST)
    with ExitStack() as running:
        _start(running, folder / "master.log", "deploy.master.Master", *common, "--port", str(port))
        wait_until(lambda: listens(port), what="the master", log=folder / "master.log")
        for n in range(workers):
            work = (*common, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work-{n}"))
            _start(running, folder / f"worker-{n}.log", "deploy.worker.Worker", *work, f"spark://{HOST}:{port}")
        yield Cluster(f"spark://{HOST}:{port}", _executor_python(folder / "python"), dist, properties)


def _start(running: ExitStack, log: Path, name: str, *arguments: str) -> None:
    output = running.enter_context(log.open("w"))
    command = [_program("spark-class"), f"org.apache.spark.{name}", "--webui-port", "0", *arguments]
    process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=_environment())
    running.callback(process.wait)
    running.callback(process.terminate)


def _executor_python(folder: Path) -> Path:
    """An interpreter that has the executors' packages: links to those of this environment."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for installed in _with_requirements(EXECUTOR_PACKAGES):
        for top in {Path(str(file)).parts[0] for file in installed.files or () if ".." not in str(file)}:
            source = Path(str(installed.locate_file(top)))
            if not (packages / top).exists():
                (packages / top).symlink_to(source)
    return folder / "bin" / "python"


def _with_requirements(names: Iterable[str]) -> list[Distribution]:
    """The installed distributions of these names, and all that they need."""
    found: dict[str, Distribution] = {}
    wanted = list(names)
    while wanted:
        name = wanted.pop()
        if name not in found:
            found[name] = distribution(name)
            required = [Requirement(text) for text in found[name].requires or ()]
            wanted += [one.name for one in required if one.marker is None or one.marker.evaluate({"extra": ""})]
    return list(found.values())


def _program(name: str) -> str:
    return str(_SPARK / "bin" / name)


def _environment() -> dict[str, str]:
    # Neither do the machines of a cluster know of an emulator.
    left_out = ("SPARK_", "PYSPARK_", EMULATOR)
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    java = {"JAVA_HOME": str(java_home()), "SPARK_HOME": str(_SPARK), "SPARK_DAEMON_MEMORY": "256m"}
    return own | java | {"SPARK_LOCAL_IP": HOST}


def _bundled(jar: Path) -> bool:
    return (_SPARK / "jars" / jar.name).exists()
