"""The user's cache: files that take long to make and can be made again at any time."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


def cached(kind: str, source: str, suffix: str) -> Path:
    """The path in the cache of a file that is made from ``source``; another source has another path."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bytemeter"
    return folder / f"{kind}-{hashlib.sha256(source.encode()).hexdigest()[:12]}.{suffix}"
