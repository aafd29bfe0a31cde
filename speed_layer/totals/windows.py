"""Which totals a live table surely does not have yet: to copy those costs half of adding to what may be there.

Nearly all totals of a window come while it is young. A window that nothing of stands in the table when it is first seen
is followed from its beginning; what it gets is remembered as hashes. A hash that is there proves nothing, one that is
not proves that the total is new, as long as one process writes the table: the query's lock sees to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection, text

from bytemeter.hashing import Hashes, contained_in, hashes

_MOST_WINDOWS, _MOST_REMEMBERED = 1_000, 4_000_000
_KEY = "bytemeter totals"


@dataclass
class YoungWindows:
    """Windows of a live table that are followed from their beginning.

    It follows the transactions of one connection; after one that was rolled back it is of no use. Its memory is 8 bytes
    for each total, at most 32 MB.

    Attributes:
        table: the live table, with the key (type, timestamp, id).
        types: all types of totals in it.
    """

    table: str
    types: Sequence[str]
    # By their starts; None of windows that something stood of when they were first seen.
    _followed: dict[int, Hashes | None] = field(default_factory=dict, repr=False)

    def new(self, connection: Connection, totals: pa.Table) -> npt.NDArray[np.bool_]:
        """Which of the totals the table surely does not have. They are remembered as if it had them all from now on.

        Args:
            totals: rows of type, id: string and window_s: long, each once.
        """
        starts = totals.column("window_s").to_numpy()
        keys = hashes(pc.binary_join_element_wise(totals.column("type"), totals.column("id"), "\0"), _KEY)
        new = np.zeros(len(starts), bool)
        windows = np.unique(starts)
        self._meet(connection, [window for window in windows.tolist() if window not in self._followed])
        for window in windows.tolist():
            known = self._followed.get(window)
            if known is not None:
                those = np.flatnonzero(starts == window)
                new[those] = ~contained_in(keys[those], known)
                self._followed[window] = np.union1d(known, keys[those])
        self._forget_oldest()
        return new

    def _meet(self, connection: Connection, windows: list[int]) -> None:
        if windows:
            asked = {"windows": windows, "types": list(self.types)}
            begun = set(connection.scalars(text(_BEGUN.format(table=self.table)), asked))
            self._followed |= {window: None if window in begun else np.empty(0, np.uint64) for window in windows}

    def _forget_oldest(self) -> None:
        """Totals of old windows are late ones, and few; the table is asked again when one comes."""
        remembered = 0
        for number, (window, known) in enumerate(sorted(self._followed.items(), reverse=True)):
            remembered += 0 if known is None else len(known)
            if number >= _MOST_WINDOWS or remembered > _MOST_REMEMBERED:
                del self._followed[window]


_BEGUN = """
select window_s
from unnest(cast(:windows as bigint [])) as w (window_s)
where exists (
    select from {table} where type = any(cast(:types as text [])) and timestamp = to_timestamp(w.window_s)
)
"""
