"""``make dist``: what a cluster needs beside Spark: the packages as a zip file, the list of jars, and the locks.

``spark-submit --py-files bytemeter.zip --packages $(paste -sd, jars.txt) stream_usage.py ...``
"""

from __future__ import annotations

import hashlib
import re
import sys
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from bytemeter.build import stamped
from bytemeter.jars import spark_coordinates
from bytemeter.versions import RELEASES

_ROOT = Path(__file__).parent.parent
# The layers that run on a cluster, and what they import.
_PACKAGES = ("bytemeter", "speed_layer", "batch_layer")
# By the name of the job.
_MAINS = {
    "stream": "speed_layer/jobs/stream_usage.py",
    "hourly": "batch_layer/jobs/hourly_usage.py",
    "monthly": "batch_layer/jobs/monthly_usage.py",
    "maintain": "batch_layer/jobs/maintain.py",
}
# What pip installs for the driver, and for executors.
_LOCKS = {"driver.txt": "requirements/run.txt", "executor.txt": "requirements/executor.txt"}
# What a cluster that has Spark brings itself: another version beside it would be a trap.
_OF_SPARK = ("pyspark", "py4j")
_ENTRY = re.compile(r"^(?=[a-z0-9])", re.MULTILINE)
# The same sources make the same bytes.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def build(folder: Path) -> list[Path]:
    """Write ``bytemeter.zip``, the mains, lists of jars (Maven coordinates, one a line) and the locks into a folder.

    ``cluster-driver.txt`` is ``driver.txt`` without Spark, for a cluster that has Spark itself.
    ``packages.sh`` installs them on Dataproc. The zip and each main name their build, a hash of the sources.
    ``jars.txt`` is for the installed version of Spark, ``jars-4.1.txt`` and its like for a cluster of that version.

    Returns:
        The files, in the order in which they were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive, mains = write_program(folder)
    jars = {folder / f"jars-{spark}.txt": _lines(spark_coordinates(spark)) for spark in RELEASES}
    jars[folder / "jars.txt"] = _lines(spark_coordinates())
    locks = {folder / lock: (_ROOT / source).read_bytes() for lock, source in _LOCKS.items()}
    locks[folder / "cluster-driver.txt"] = _without_spark(locks[folder / "driver.txt"].decode()).encode()
    # By which a cluster of Dataproc installs them.
    script = {folder / "packages.sh": (_ROOT / "infra/dataproc/packages.sh").read_bytes()}
    files = jars | locks | script
    for file, content in files.items():
        file.write_bytes(content)
    return [archive, *mains.values(), *files]


def write_program(folder: Path) -> tuple[Path, dict[str, Path]]:
    """Write ``bytemeter.zip`` and the mains into a folder; the same sources make the same bytes.

    Returns:
        The zip, and the main of each job by the job's name.
    """
    sources = dict(_sources())
    name = hashlib.sha256(b"".join(path.encode() + source for path, source in sources.items())).hexdigest()[:12]
    archive = folder / "bytemeter.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packages:
        for path, source in (*sources.items(), ("bytemeter/build.txt", name.encode())):
            packages.writestr(zipfile.ZipInfo(path, _TIMESTAMP), source)
    mains = {job: folder / Path(source).name for job, source in _MAINS.items()}
    for job, main in mains.items():
        main.write_bytes(stamped(sources[_MAINS[job]], name))
    return archive, mains


def _sources() -> Iterator[tuple[str, bytes]]:
    """The files of the packages: path in the zip, content."""
    for package in _PACKAGES:
        for path in sorted((_ROOT / package).rglob("*")):
            if path.suffix in (".py", ".sql", ".json"):
                yield path.relative_to(_ROOT).as_posix(), path.read_bytes()


def _without_spark(lock: str) -> str:
    """The lock of a driver on a cluster that has Spark."""
    return "".join(part for part in _ENTRY.split(lock) if not part.startswith(tuple(f"{n}==" for n in _OF_SPARK)))


def _lines(coordinates: Iterable[str]) -> bytes:
    return "".join(f"{coordinate}\n" for coordinate in coordinates).encode()


if __name__ == "__main__":
    for written in build(Path(sys.argv[1])):
        print(written)  # noqa: T201
