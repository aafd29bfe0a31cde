"""What a job needs on a cluster, laid out as it is uploaded: each file below a folder that its content names."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from bytemeter.dist import write_program
from bytemeter.jars import not_bundled, spark_coordinates

# Names are compared by people, too: 16 digits, which two files share by chance once in 2^32 files.
_DIGITS = 16


@dataclass(frozen=True)
class Shipment:
    """Files of one job on this machine, and their addresses once they are uploaded.

    Attributes:
        folder: on this machine, ``<hash>/<name>`` for each file; uploaded as a whole, below ``code``.
        code: ``gs://bucket/prefix``.
        main: path of the job's main, relative to both; so are the others.
        archive: the packages, for ``--py-files``.
        jars: the connectors that Spark lacks.
        files: for the working folder of driver and executors.
    """

    folder: Path
    code: str
    main: str
    archive: str
    jars: tuple[str, ...]
    files: tuple[str, ...]

    def uri(self, path: str) -> str:
        """The address of a file in the bucket."""
        return f"{self.code}/{path}"


def ship(job: str, *, spark: str, code: str, cache: Path, files: Iterable[Path] = ()) -> Shipment:
    """Lay out what a job needs in a folder of the cache; the same content has the same folder and the same names.

    Args:
        job: its name, e.g. ``hourly``.
        spark: the version of Spark on the cluster, e.g. ``4.0``.
        cache: the user's cache, below which the folder is.
        code: ``gs://bucket/prefix`` to which the folder is uploaded.
        files: further files of this machine that the job reads.

    Raises:
        BytemeterError: this Spark is not supported, or a jar could not be resolved.
    """
    with TemporaryDirectory() as temporary:
        archive, mains = write_program(Path(temporary))
        jars = not_bundled(spark_coordinates(spark))
        sources = [mains[job], archive, *sorted(jars), *files]
        paths = [f"{_digest(source)}/{source.name}" for source in sources]
        folder = cache / "shipped" / hashlib.sha256("\n".join(paths).encode()).hexdigest()[:_DIGITS]
        for source, path in zip(sources, paths, strict=True):
            _place(source, folder / path)
    end = 2 + len(jars)
    return Shipment(folder, code.rstrip("/"), paths[0], paths[1], tuple(paths[2:end]), tuple(paths[end:]))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def _place(source: Path, target: Path) -> None:
    """Put a file there unless it is there; whole or not at all, since another command may read it now."""
    if target.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    # Not beside the target: all that is below the folder is uploaded.
    draft = target.parents[2] / f"{target.parents[1].name}-{uuid4().hex}"
    try:
        _copy(source, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)


def _copy(source: Path, draft: Path) -> None:
    if source.suffix == ".jar":
        # A released jar never changes; a link takes no space in the folder of each further build.
        with suppress(OSError):
            os.link(source, draft)
            return
    shutil.copyfile(source, draft)
