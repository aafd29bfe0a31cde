"""Ids of records: name-based UUIDs of content and line, unique in the world and the same on every re-run."""

from __future__ import annotations

import hashlib
import uuid

import numpy as np
import numpy.typing as npt
import pyarrow as pa

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://bytemeter.dev/import")
_SHA1_BYTES, _UUID_BYTES, _TEXT_BYTES = 20, 16, 36
# Where the hex digits of a UUID stand in its text: (first, end, first hex digit).
_GROUPS = ((0, 8, 0), (9, 13, 8), (14, 18, 12), (19, 23, 16), (24, 36, 20))
# Each byte as its two hex digits.
_HEX = np.frombuffer(b"".join(b"%02x" % byte for byte in range(256)), np.uint16)


class LineIds:
    """The ids of a content's lines: ``uuid5(NAMESPACE, "HASH/LINE")``, faster than by the standard library."""

    def __init__(self, content_hash: str) -> None:
        self._name = NAMESPACE.bytes + f"{content_hash}/".encode()

    def __call__(self, line: int) -> str:
        """The id of a line."""
        return str(self.of(np.array([line]))[0].as_py().decode())

    def of(self, lines: npt.NDArray[np.int64]) -> pa.BinaryArray:
        """The ids of lines, as texts in ASCII."""
        name, sha1 = self._name, hashlib.sha1
        digests = b"".join([sha1(name + b"%d" % line, usedforsecurity=False).digest() for line in lines.tolist()])
        raw = np.frombuffer(digests, np.uint8).reshape(-1, _SHA1_BYTES)[:, :_UUID_BYTES].copy()
        # Version 5, and the variant of RFC 9562.
        raw[:, 6] = raw[:, 6] & 0x0F | 0x50
        raw[:, 8] = raw[:, 8] & 0x3F | 0x80
        digits = _HEX[raw].view(np.uint8)
        texts = np.full((len(lines), _TEXT_BYTES), ord("-"), np.uint8)
        for first, end, digit in _GROUPS:
            texts[:, first:end] = digits[:, digit : digit + end - first]
        ends = pa.py_buffer(np.arange(len(lines) + 1, dtype=np.int32) * _TEXT_BYTES)
        return pa.Array.from_buffers(pa.binary(), len(lines), [None, ends, pa.py_buffer(texts)])
