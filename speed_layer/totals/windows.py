"""Which totals the live table surely does not have yet: copying those costs half of adding them to existing rows.

Nearly all totals of a window arrive while it is young. A window that has no row in the table when the process first
sees it is a young window: from then on the process remembers a hash of each total that it writes. A total whose hash is
remembered may be in the table; a total whose hash is not remembered is surely new. That holds as long as one process
writes the table, which the query's lock guarantees.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.hashing import Hashes, contained_in, hashes
from speed_layer.totals.table import LiveTable

_MOST_WINDOWS, _MOST_HASHES = 1_000, 4_000_000
_HASH_KEY = "bytemeter totals"


@dataclass
class YoungWindows:
    """Remembers the totals of young windows.

    It follows the transactions of one connection; after a transaction that was rolled back it must be made anew. Its
    memory is 8 bytes for each total, at most 32 MB.
    """

    table: LiveTable
    # By start. None: the window had rows when it was first seen.
    _hashes: dict[int, Hashes | None] = field(default_factory=dict, repr=False)

    def new(self, connection: Connection, totals: pa.Table) -> npt.NDArray[np.bool_]:
        """Which totals the table surely does not have. All totals count as written from now on.

        Args:
            totals: rows of type, id: string and window_s: long, each key once.
        """
        starts = totals.column("window_s").to_numpy()
        keys = hashes(pc.binary_join_element_wise(totals.column("type"), totals.column("id"), "\0"), _HASH_KEY)
        is_new = np.zeros(len(starts), bool)
        windows = np.unique(starts).tolist()
        self._meet(connection, [window for window in windows if window not in self._hashes])
        for window in windows:
            known = self._hashes.get(window)
            if known is not None:
                rows = np.flatnonzero(starts == window)
                is_new[rows] = ~contained_in(keys[rows], known)
                self._hashes[window] = np.union1d(known, keys[rows])
        self._forget_oldest()
        return is_new

    def _meet(self, connection: Connection, windows: list[int]) -> None:
        if windows:
            begun = self.table.begun(connection, windows)
            self._hashes |= {window: None if window in begun else np.empty(0, np.uint64) for window in windows}

    def _forget_oldest(self) -> None:
        """Keep memory bounded: totals of old windows are late and few, and the table is asked again for them."""
        count = 0
        for index, (window, known) in enumerate(sorted(self._hashes.items(), reverse=True)):
            count += 0 if known is None else len(known)
            if index >= _MOST_WINDOWS or count > _MOST_HASHES:
                del self._hashes[window]
