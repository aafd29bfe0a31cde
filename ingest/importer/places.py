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
        if self.is_local and not Path(self._root).is_dir():
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

    def free_name(self, name: str, folder: str, suffix: str) -> str:
        """The name of a file once it is moved to a folder.

        Args:
            suffix: for its name, if another file has that already.
        """
        moved = f"{folder}/{name}"
        return f"{moved}.{suffix}" if self._files.exists(self._path(moved)) else moved

    def report(self, path: str, moved: str) -> None:
        """Put the report that is at a local path beside a file that will be moved."""
        self._make(moved)
        self._files.put_file(path, self._path(f"{moved}.report.csv"))

    def move(self, name: str, moved: str) -> None:
        """Move a file.

        Raises:
            FileNotFoundError: it is gone.
        """
        self._make(moved)
        if self.is_local:
            # In one step.
            Path(self._path(name)).replace(self._path(moved))
        else:
            self._files.mv(self._path(name), self._path(moved))

    def _make(self, moved: str) -> None:
        if self.is_local:
            Path(self._path(moved)).parent.mkdir(exist_ok=True)

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What the storage raises when it does not give or take a file."""
        if self.is_local:
            return (OSError,)
        from aiohttp import ClientError
        from gcsfs.retry import HttpError

        return (OSError, ClientError, HttpError)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder of this machine."""
        return "file" in self._files.protocol

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"
