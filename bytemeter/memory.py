"""Memory settings of a process that allocates and frees large columns again and again."""

from __future__ import annotations

import ctypes
from functools import cache

import pyarrow as pa

# Options of mallopt in glibc's malloc.h: M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD, M_ARENA_MAX.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -2, -3, -8
_NEVER, _GROWTH_BYTES = 2**31 - 1, 64 * 2**20
# Each arena keeps what its threads have freed: with an arena per thread the process kept twice as much memory.
_ARENAS = 2


@cache
def keep_freed_memory() -> None:
    """Keep freed memory in this process for the next columns, instead of returning it to the operating system.

    By default the memory of each micro-batch's columns is returned, and the system clears every page again when the
    next columns touch it, which takes longer than computing with them. The price: the process stays as large as its
    peak. Does nothing where the C library is not glibc.
    """
    libc = ctypes.CDLL(None)
    if not hasattr(libc, "gnu_get_libc_version"):
        return
    libc.mallopt(_ARENA_MAX, _ARENAS)
    for option, value in ((_TRIM_THRESHOLD, _NEVER), (_TOP_PAD, _GROWTH_BYTES), (_MMAP_THRESHOLD, _NEVER)):
        libc.mallopt(option, value)
    # Arrow's own allocators return memory to the system, too.
    pa.set_memory_pool(pa.system_memory_pool())
