"""``make dist``: what a cluster needs beside Spark: the packages as a zip file, the list of jars, and the locks.

``spark-submit --py-files bytemeter.zip --packages $(paste -sd, jars.txt) stream_usage.py ...``
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

from bytemeter.jars import spark_coordinates

_ROOT = Path(__file__).parent.parent
# The layers that run on a cluster, and what they import.
_PACKAGES = ("bytemeter", "speed_layer", "batch_layer")
# By the name of the job.
MAINS = {
    "stream": _ROOT / "speed_layer/jobs/stream_usage.py",
    "hourly": _ROOT / "batch_layer/jobs/hourly_usage.py",
    "monthly": _ROOT / "batch_layer/jobs/monthly_usage.py",
}
# What pip installs for the driver, and for executors.
_LOCKS = {"driver.txt": "requirements/run.txt", "executor.txt": "requirements/executor.txt"}
# The same sources make the same bytes.
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


def build(folder: Path) -> list[Path]:
    """Write ``bytemeter.zip``, the mains, ``jars.txt`` (Maven coordinates, one a line) and the locks into a folder.

    Returns:
        The files, in the order in which they were written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    archive, jars = write_archive(folder / "bytemeter.zip"), folder / "jars.txt"
    mains = [folder / main.name for main in MAINS.values()]
    for main, copy in zip(MAINS.values(), mains, strict=True):
        copy.write_bytes(main.read_bytes())
    jars.write_text("".join(f"{coordinate}\n" for coordinate in spark_coordinates()))
    locks = [folder / name for name in _LOCKS]
    for lock, source in zip(locks, _LOCKS.values(), strict=True):
        lock.write_bytes((_ROOT / source).read_bytes())
    return [archive, *mains, jars, *locks]


def write_archive(path: Path) -> Path:
    """Write the packages that run on a cluster as a zip file; the same sources make the same bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packages:
        for package in _PACKAGES:
            for source in sorted((_ROOT / package).rglob("*")):
                if source.suffix in (".py", ".sql"):
                    name = source.relative_to(_ROOT).as_posix()
                    packages.writestr(zipfile.ZipInfo(name, _TIMESTAMP), source.read_bytes())
    return path


if __name__ == "__main__":
    for written in build(Path(sys.argv[1])):
        print(written)  # noqa: T201
