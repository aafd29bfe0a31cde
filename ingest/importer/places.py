"""Where files are: a folder, or a prefix of any storage that fsspec knows, such as ``gs://bucket/prefix``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fsspec

from bytemeter.errors import BytemeterError, first_line, without_passwords

DONE, FAILED = "done", "failed"
_EMULATOR = "STORAGE_EMULATOR_HOST"
_ASKS_KIND = "GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT"
# Who writes a file gives it another name when it is complete.
_UNFINISHED = ("tmp", ".")


class Place:
    """A folder with files that wait, and with its folders ``done`` and ``failed``."""

    def __init__(self, uri: str) -> None:
        """Open it.

        Raises:
            BytemeterError: there is no such folder, or nothing knows such URIs.
        """
        self.uri = uri
        options = {}
        if uri.startswith(("gs://", "gcs://")) and os.environ.get(_EMULATOR):
            options = {"token": "anon"}
            # Else gcsfs asks for the kind of the bucket by gRPC, which no emulator speaks, and waits for minutes.
            os.environ.setdefault(_ASKS_KIND, "false")
        try:
            self._files, self._root = fsspec.core.url_to_fs(uri, use_listings_cache=False, **options)
        except ImportError as error:
            raise BytemeterError(f"{uri}: {first_line(error)}; for gs:// install bytemeter[gcs]") from None
        except ValueError as error:
            raise BytemeterError(f"{without_passwords(uri)}: {first_line(error)}; give a folder or gs://…") from None
        if self._is_local and not Path(self._root).is_dir():
            raise BytemeterError(f"{uri} is no folder; expected a folder with files of records, or an URI")

    def waiting(self) -> list[str]:
        """The names of the files that wait, in order."""
        try:
            entries = self._files.ls(self._root, detail=True)
        except FileNotFoundError:
            # A bucket has no empty folders.
            return []
        names = (entry["name"].rpartition("/")[2] for entry in entries if entry["type"] == "file")
        return sorted(name for name in names if name and not name.startswith(_UNFINISHED))

    def open(self, name: str) -> Any:
        """The file as it is, to be read.

        Raises:
            FileNotFoundError: it is gone.
        """
        return self._files.open(self._path(name), "rb")

    def move(self, name: str, folder: str, *, report: str | None, suffix: str) -> str:
        """Move a file, with the report that is read from a local path; returns its name there.

        Args:
            suffix: for its name, if another file has that already.
        """
        moved = f"{folder}/{name}"
        if self._files.exists(self._path(moved)):
            moved = f"{folder}/{name}.{suffix}"
        if self._is_local:
            self._files.makedirs(self._path(folder), exist_ok=True)
        if report is not None:
            self._files.put_file(report, self._path(f"{moved}.report.csv"))
        if self._is_local:
            # In one step.
            Path(self._path(name)).replace(self._path(moved))
        else:
            self._files.mv(self._path(name), self._path(moved))
        return moved

    @property
    def _is_local(self) -> bool:
        return "file" in self._files.protocol

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
