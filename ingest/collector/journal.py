"""The journal on disk: segments of records that were synced, each with its length and checksum."""

from __future__ import annotations

import contextlib
import fcntl
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from bytemeter.errors import BytemeterError
from bytemeter.logs import logger

_HEADER = struct.Struct(">II")  # the length of a record, and its CRC-32
_SUFFIX = ".journal"
SEGMENT_BYTES = 8 * 2**20


class JournalFullError(Exception):
    """The journal has no room: it is at its bound, or the disk is full."""


class Journal:
    """Records in a folder of its own, oldest first.

    A record is safe when ``append`` has returned. Segments are removed one by one when their records are elsewhere: a
    process that ends before that gives the records of one segment again. A last record that was cut off was never
    acknowledged, and is cut away at the next start.

    Attributes:
        size: bytes of all segments.
    """

    def __init__(self, folder: Path, most_bytes: int, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open the journal, and take it for this process.

        Raises:
            BytemeterError: another process has it, or the folder cannot be written.
        """
        self._folder, self._most_bytes, self._segment_bytes = folder, most_bytes, segment_bytes
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._take()
        except BlockingIOError:
            raise BytemeterError(f"another process uses the journal {folder}; give each collector its own") from None
        except OSError as error:
            raise BytemeterError(f"the journal {folder} cannot be written: {error.strerror}; name a folder") from None
        self._closed = sorted(folder.glob(f"*{_SUFFIX}"))
        self._open: BinaryIO | None = None
        self._open_path = folder
        if self._closed:
            _cut_torn(self._closed[-1])
        self._number = int(self._closed[-1].stem) if self._closed else 0
        self.size = sum(path.stat().st_size for path in self._closed)

    @property
    def empty(self) -> bool:
        """Whether it has no records."""
        return not self._closed and self._open is None

    def has_room(self, size: int = 1) -> bool:
        """Whether so many more bytes are within the bound."""
        return self.size + size <= self._most_bytes

    def append(self, records: Iterable[bytes]) -> None:
        """Write records and sync them.

        Raises:
            JournalFullError: there is no room for all of them; none was kept.
        """
        written = b"".join(_HEADER.pack(len(record), zlib.crc32(record)) + record for record in records)
        if not self.has_room(len(written)):
            raise JournalFullError(f"the journal has {self.size} bytes, of at most {self._most_bytes}")
        file = self._open or self._begin()
        before = file.tell()
        try:
            file.write(written)
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            self._give_up(file, before)
            raise JournalFullError(f"the journal {self._folder} cannot be written: {error.strerror}") from error
        self.size += len(written)
        if file.tell() >= self._segment_bytes:
            self._close()

    def oldest(self) -> Path | None:
        """The oldest segment, to which nothing is written any more; None without records."""
        if not self._closed:
            self._close()
        return self._closed[0] if self._closed else None

    def read(self, segment: Path) -> Iterator[bytes]:
        """The records of a segment, in order.

        A segment whose middle is damaged ends there: the file is kept beside the journal, for people to look at.
        """
        content = segment.read_bytes()
        whole = 0
        for end, record in _records(content):
            yield record
            whole = end
        if whole < len(content):
            kept = segment.with_suffix(".damaged")
            kept.write_bytes(content)
            logger().error("damaged segment of the journal", kept=str(kept), lost_bytes=len(content) - whole)

    def remove(self, segment: Path) -> None:
        """Remove a segment whose records are elsewhere."""
        self.size -= segment.stat().st_size
        self._closed.remove(segment)
        segment.unlink()
        self._sync_folder()

    def close(self) -> None:
        """Leave the journal to other processes."""
        self._close()
        os.close(self._lock)

    def _take(self) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(self._lock)
            raise

    def _begin(self) -> BinaryIO:
        self._number += 1
        self._open_path = self._folder / f"{self._number:010}{_SUFFIX}"
        try:
            self._open = self._open_path.open("xb")
            self._sync_folder()
        except OSError as error:
            raise JournalFullError(f"the journal {self._folder} cannot be written: {error.strerror}") from error
        return self._open

    def _close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._closed.append(self._open_path)

    def _give_up(self, file: BinaryIO, size: int) -> None:
        """Leave a segment with the records that were safe before: after a failed sync nothing more may follow."""
        self._open = None
        self._closed.append(self._open_path)
        # Closing writes what the buffer still holds, and may fail likewise. What cannot be cut away, such as on a disk
        # that is read-only now, was never acknowledged.
        with contextlib.suppress(OSError):
            file.close()
        with contextlib.suppress(OSError):
            os.truncate(self._open_path, size)
        with contextlib.suppress(OSError):
            self.size += self._open_path.stat().st_size - size

    def _sync_folder(self) -> None:
        descriptor = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _records(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole records at the beginning of a segment, each with the place where it ends."""
    start = 0
    while start + _HEADER.size <= len(content):
        length, checksum = _HEADER.unpack_from(content, start)
        end = start + _HEADER.size + length
        record = content[start + _HEADER.size : end]
        if end > len(content) or zlib.crc32(record) != checksum:
            return
        yield end, record
        start = end


def _cut_torn(segment: Path) -> None:
    content = segment.read_bytes()
    end = max((end for end, _ in _records(content)), default=0)
    if end < len(content):
        logger().warning("cut off a record that was never acknowledged", segment=str(segment), bytes=len(content) - end)
        os.truncate(segment, end)
