"""The report of a file: lines that were refused and why."""

from __future__ import annotations

import csv
import tempfile
from pathlib import Path
from typing import IO


class Report:
    """Lines that were refused and why, on this machine's disk until the file is moved."""

    def __enter__(self) -> Report:
        self._file: IO[str] = tempfile.NamedTemporaryFile("w", suffix=".csv", newline="", delete=False)
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(("line", "reason"))
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        Path(self._file.name).unlink()

    def add(self, line: int | None, reason: str) -> None:
        """Add a line of the file, or the file as a whole."""
        self._writer.writerow(("" if line is None else line, reason))

    @property
    def path(self) -> str:
        """Where all of it is."""
        self._file.flush()
        return self._file.name
