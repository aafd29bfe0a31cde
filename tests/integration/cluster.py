"""A standalone Spark cluster on this machine: a master and workers as processes, executors with a Python of their own."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import time
import venv
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import IO, Any

import pyspark
from packaging.requirements import Requirement
from psutil import process_iter

from bytemeter.history.storage import EMULATOR
from bytemeter.jars import GCS, not_bundled, spark_coordinates
from bytemeter.java import java_home
from embedded.home import HOST, free_port, listens, wait_until

_SPARK = Path(pyspark.__file__).parent
_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_MOST_S, _BETWEEN_LOOKS_S = 300, 0.5
# What docs/architecture.md asks of executors.
EXECUTOR_PACKAGES = ("numpy", "pandas", "pyarrow")

SECRET = secrets.token_urlsafe(24)
# As docs/clusters.md says.
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
        variables: of ``spark-submit``.
        arguments: of all processes that were seen while mains ran.
    """

    master: str
    python: Path
    dist: Path
    properties: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    arguments: set[str] = field(default_factory=set)

    def submit(self, main: str, arguments: Sequence[str], **other: Any) -> subprocess.CompletedProcess[str]:
        """Run one of the mains by ``spark-submit`` and wait for its end; see ``start``."""
        with (self.dist / "submitted.err").open("w+") as errors:
            process = self.start(main, arguments, errors, **other)
            deadline = time.monotonic() + _MOST_S
            while (code := _ended(process)) is None:
                assert time.monotonic() < deadline
                self.arguments.update(" ".join(seen.info["cmdline"] or ()) for seen in process_iter(["cmdline"]))
            errors.seek(0)
            return subprocess.CompletedProcess(process.args, code, "", errors.read())

    def start(
        self,
        main: str,
        arguments: Sequence[str],
        output: IO[str],
        *,
        python: Path | None = None,
        archive: Path | None = None,
        jars: Sequence[str] = (),
        cores: int = 2,
    ) -> subprocess.Popen[bytes]:
        """Run one of the mains by ``spark-submit``.

        Args:
            python: of the executors, in place of the cluster's.
            archive: the zip, in place of the one of ``dist``.
            jars: coordinates, in place of those that belong to Spark.
            cores: of the cluster's two; each has an executor of its own.
        """
        files = ",".join(map(str, not_bundled((*(jars or spark_coordinates()), GCS))))
        options = {
            "spark.pyspark.python": str(python or self.python),
            "spark.pyspark.driver.python": sys.executable,
            "spark.driver.host": HOST,
            "spark.driver.memory": "1g",
            "spark.executor.memory": "1g",
            "spark.cores.max": str(cores),
            # Each JVM works for some seconds: HotSpot's second compiler would cost more than it gains.
            "spark.driver.extraJavaOptions": _SHORT_LIVED,
            "spark.executor.extraJavaOptions": _SHORT_LIVED,
            "spark.ui.enabled": "false",
        }
        confs = [part for name, value in options.items() for part in ("--conf", f"{name}={value}")]
        command = [
            *(str(_SPARK / "bin/spark-submit"), "--master", self.master, "--properties-file", str(self.properties)),
            *("--jars", files, *confs),
            *("--py-files", str(archive or self.dist / "bytemeter.zip"), str(self.dist / main), *arguments),
        ]
        # Not from the checkout: the packages are those of the zip.
        environment = _environment() | {EMULATOR: os.environ[EMULATOR], **self.variables}
        return subprocess.Popen(command, cwd=self.dist, env=environment, stdout=output, stderr=output)


def _ended(process: subprocess.Popen[bytes]) -> int | None:
    """The exit code, or None if the process still runs after a moment."""
    try:
        return process.wait(_BETWEEN_LOOKS_S)
    except subprocess.TimeoutExpired:
        return None


@contextmanager
def cluster(folder: Path, dist: Path, workers: int = 2, spark: Path = _SPARK) -> Iterator[Cluster]:
    """A master and workers of one core each, of the Spark in a folder; all end with the context."""
    port = free_port()
    properties = secret_file(folder / "spark.conf", _AUTHENTICATED.format(secret=SECRET))
    common = ("--properties-file", properties, "--host", HOST)
    with ExitStack() as running:
        start = partial(_start, running, spark)
        start(folder / "master.log", "deploy.master.Master", *common, "--port", str(port))
        wait_until(lambda: listens(port), what="the master", log=folder / "master.log")
        for n in range(workers):
            work = (*common, "--cores", "1", "--memory", "1g", "--work-dir", str(folder / f"work-{n}"))
            start(folder / f"worker-{n}.log", "deploy.worker.Worker", *work, f"spark://{HOST}:{port}")
        yield Cluster(f"spark://{HOST}:{port}", executor_python(folder / "python"), dist, Path(properties))


def secret_file(path: Path, content: str) -> str:
    """Write a file that only its owner may read; returns its path."""
    path.touch(mode=0o600)
    path.write_text(content)
    return str(path)


def _start(running: ExitStack, spark: Path, log: Path, name: str, *arguments: str) -> None:
    output = running.enter_context(log.open("w"))
    command = [str(spark / "bin/spark-class"), f"org.apache.spark.{name}", "--webui-port", "0", *arguments]
    environment = _environment() | {"SPARK_HOME": str(spark)}
    process = subprocess.Popen(command, stdout=output, stderr=output, stdin=subprocess.DEVNULL, env=environment)
    running.callback(process.wait)
    running.callback(process.terminate)


def executor_python(folder: Path, names: Iterable[str] = EXECUTOR_PACKAGES) -> Path:
    """An interpreter that has the executors' packages, or some others: links to those of this environment."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python*/site-packages")
    for installed in _with_requirements(names):
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


def _environment() -> dict[str, str]:
    # Neither do the machines of a cluster know of an emulator.
    left_out = ("SPARK_", "PYSPARK_", EMULATOR)
    own = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    java = {"JAVA_HOME": str(java_home()), "SPARK_HOME": str(_SPARK), "SPARK_DAEMON_MEMORY": "256m"}
    return own | java | {"SPARK_LOCAL_IP": HOST}
