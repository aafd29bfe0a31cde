"""Ids of records: name-based UUIDs of content and line, unique in the world and the same on every re-run."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://bytemeter.dev/import")


def internal_ids(content_hash: str) -> Callable[[int], str]:
    """What makes the id of a line: ``uuid5(NAMESPACE, "HASH/LINE")``, faster than by the standard library."""
    begun = hashlib.sha1(NAMESPACE.bytes + f"{content_hash}/".encode(), usedforsecurity=False)

    def internal_id(line: int) -> str:
        hashing = begun.copy()
        hashing.update(b"%d" % line)
        digest = hashing.hexdigest()
        variant = "89ab"[int(digest[16], 16) & 3]
        return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-{variant}{digest[17:20]}-{digest[20:32]}"

    return internal_id
