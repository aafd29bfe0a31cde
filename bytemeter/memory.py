"""Memory that a process keeps when it has freed it: to touch new memory costs more than to compute with it."""

from __future__ import annotations

import ctypes
from functools import cache

import pyarrow as pa

# Of glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_NEVER, _AT_ONCE = 2**31 - 1, 64 * 2**20
# Each arena keeps what its threads have freed; with one for each thread the process kept twice as much.
_ARENAS = 2


@cache
def keep_freed_memory() -> None:
    """Let this process keep what it frees, for columns that come and go with each micro-batch.

    By default the columns' memory is given back to the system, and each of its pages is cleared again when the next
    columns touch it. It stays as large as it was at its largest. Elsewhere than with glibc nothing changes.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    libc.mallopt(_ARENA_MAX, _ARENAS)
    for option, value in ((_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _AT_ONCE), (_MMAP_THRESHOLD, _NEVER)):
        libc.mallopt(option, value)
    # Arrow's own allocators give back, too.
    pa.set_memory_pool(pa.system_memory_pool())
