"""The content of a file: inflated, with its hash, size and format."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from bytemeter.errors import first_line

LINES, CSV, NDJSON, PARQUET, ASN1 = "lines", "csv", "ndjson", "parquet", "asn1"
FORMATS = (LINES, CSV, NDJSON, PARQUET, ASN1)
_CODECS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PIECE = 4 * 2**20


class UnreadableError(Exception):
    """The file as a whole cannot be read; the message says why."""


@dataclass(frozen=True)
class Content:
    """What a first pass over a file has found.

    Attributes:
        hash: SHA-256 of the content.
        size: its bytes.
        head: its first bytes.
    """

    hash: str
    size: int
    head: bytes


def opened(open_file: Callable[[], Any], stack: ExitStack) -> Any:
    """The content of a file, inflated, as a binary file of pyarrow's; closed with the stack.

    Raises:
        FileNotFoundError: it is gone.
    """
    with open_file() as file:
        head = file.read(4)
    raw = stack.enter_context(open_file())
    source = pa.PythonFile(raw, mode="r")
    codec = next((codec for magic, codec in _CODECS.items() if head.startswith(magic)), None)
    return source if codec is None else pa.CompressedInputStream(source, codec)


def examined(open_file: Callable[[], Any]) -> Content:
    """Read a file once.

    Raises:
        FileNotFoundError: it is gone.
        UnreadableError: it cannot be inflated.
    """
    hashing, size, head = hashlib.sha256(), 0, b""
    with ExitStack() as stack:
        content = opened(open_file, stack)
        while piece := read_piece(content):
            head = head or piece[:65_536]
            size += len(piece)
            hashing.update(piece)
    return Content(hashing.hexdigest(), size, head)


def read_piece(content: Any) -> bytes:
    """The next 4 MiB, whatever the file's compression; less only at the end, where it is empty at last.

    Raises:
        UnreadableError: it cannot be inflated.
    """
    pieces, missing = [], _PIECE
    try:
        while missing and (piece := content.read(missing)):
            pieces.append(piece)
            missing -= len(piece)
    except (OSError, pa.ArrowException, zlib.error) as error:
        raise unreadable(error, "cannot be inflated") from None
    return b"".join(pieces)


def unreadable(error: Exception, reason: str) -> Exception:
    """The error for a content that pyarrow cannot read; an error of the storage, which has a number, as it is."""
    of_storage = isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None)
    return error if of_storage else UnreadableError(f"{reason}: {first_line(error)}")


def raw_hash(open_file: Callable[[], Any]) -> tuple[str, int]:
    """SHA-256 and bytes of a file as it is."""
    hashing, size = hashlib.sha256(), 0
    with open_file() as file:
        while piece := file.read(_PIECE):
            size += len(piece)
            hashing.update(piece)
    return hashing.hexdigest(), size
