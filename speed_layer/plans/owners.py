"""Finds the billing period that owns the records of an MSISDN, in memory first, then in the table ``plan_segments``.

A row of ``plan_segments`` is an ownership span. The spans of the present are read at the start, and spans that are read
later stay in memory: so a micro-batch asks PostgreSQL only for MSISDNs, and stretches of time, that are new to the
process.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.sql import Statements
from speed_layer.plans.records import msisdn_key
from speed_layer.postgres.copying import copy_fixed, read_fixed
from speed_layer.postgres.lookups import no_nested_loops

Integers = npt.NDArray[np.int64]

SQL = Statements(__package__, "owners.sql")
# Stands for a usage_id: no billing period is known that owns all of the records.
NO_OWNER = -1
_MOST_SPANS = 4_000_000


@dataclass(frozen=True)
class OwnershipSpans:
    """Ownership spans as columns, in the order of (msisdn_key, from_us).

    Attributes:
        msisdn_keys: see ``speed_layer.plans.records.msisdn_key``.
        from_us, until_us: [from, until) in microseconds since 1970; a span that was forgotten ends before it begins.
        usage_ids: of rows of ``data_plan_usage``.
    """

    msisdn_keys: Integers
    from_us: Integers
    until_us: Integers
    usage_ids: Integers

    def __len__(self) -> int:
        return len(self.msisdn_keys)

    @staticmethod
    def merged(*parts: OwnershipSpans) -> OwnershipSpans:
        """The spans of all parts, without forgotten ones."""
        keys, from_us, until_us, usage_ids = (
            np.concatenate([getattr(part, column) for part in parts])
            for column in ("msisdn_keys", "from_us", "until_us", "usage_ids")
        )
        order = np.lexsort((from_us, keys))
        order = order[from_us[order] < until_us[order]]
        return OwnershipSpans(keys[order], from_us[order], until_us[order], usage_ids[order])

    def find(self, msisdn_keys: Integers, first_us: Integers, last_us: Integers) -> Integers:
        """For each MSISDN the usage_id of the span that contains first_us and last_us, or ``NO_OWNER``."""
        usage_ids = np.full(len(msisdn_keys), NO_OWNER, np.int64)
        # Each MSISDN looks at its last span first, then at the one before it, until one contains its records.
        spans = np.searchsorted(self.msisdn_keys, msisdn_keys, side="right") - 1
        rows = np.flatnonzero(spans >= 0)
        while len(rows := rows[(spans[rows] >= 0) & (self.msisdn_keys[spans[rows]] == msisdn_keys[rows])]):
            at = spans[rows]
            contained = (self.from_us[at] <= first_us[rows]) & (last_us[rows] < self.until_us[at])
            usage_ids[rows[contained]] = self.usage_ids[at[contained]]
            rows = rows[~contained]
            spans[rows] -= 1
        return usage_ids

    def forget(self, msisdn_keys: Integers) -> None:
        """Leave the spans of these MSISDNs out from now on."""
        begins, ends = (np.searchsorted(self.msisdn_keys, msisdn_keys, side=side) for side in ("left", "right"))
        stored = begins < ends
        for begin, end in zip(begins[stored].tolist(), ends[stored].tolist(), strict=True):
            self.until_us[begin:end] = self.from_us[begin:end] - 1


@dataclass
class OwnerLookup:
    """Finds the billing periods that own the records of MSISDNs.

    It follows the transactions of one connection, the only one that changes ``plan_segments``; after one that was
    rolled back it is of no use. Its memory is 32 bytes for each span that it knows, at most 128 MB.
    """

    # Each is at least twice as long as the next one: few to search, and seldom merged.
    _known: list[OwnershipSpans] = field(default_factory=list, repr=False)

    def load(self, connection: Connection) -> None:
        """Read the spans that reach to where the feed has come in event time, all at once."""
        connection.exec_driver_sql("set local enable_seqscan = on")
        self._remember(_read(connection, f"{SQL.raw('present_spans')} limit {_MOST_SPANS:d}"))

    def find(self, connection: Connection, totals: pa.Table) -> Integers:
        """For each MSISDN the usage_id of the billing period that owns all of its records, or ``NO_OWNER``.

        ``NO_OWNER``, too, where the records do not all belong to one period, and where the period has no row yet.

        Args:
            totals: see ``speed_layer.plans.records.by_msisdn``.
        """
        usage_ids = self._recall(totals)
        unknown = np.flatnonzero(usage_ids == NO_OWNER)
        if len(unknown):
            asked = totals.take(unknown)
            columns = {name: asked.column(name).to_numpy().astype(">i8") for name in _ASKED}
            copy_fixed(connection, "asked_msisdns", columns, {"msisdn": asked.column("msisdn")})
            with no_nested_loops(connection):
                self._remember(_read(connection, SQL.raw("spans_of_asked")))
            usage_ids[unknown] = self._recall(asked)
        return usage_ids

    def forget(self, connection: Connection, msisdns: Collection[str]) -> None:
        """Forget the spans of MSISDNs whose agreements or periods have changed; they are made anew when needed."""
        connection.execute(SQL["forget_spans"], {"msisdns": list(msisdns)})
        keys = np.array([msisdn_key(msisdn) for msisdn in msisdns], np.int64)
        for spans in self._known:
            spans.forget(keys)

    def _recall(self, totals: pa.Table) -> Integers:
        keys, first_us, last_us = (totals.column(name).to_numpy() for name in _ASKED)
        usage_ids = np.full(len(keys), NO_OWNER, np.int64)
        for spans in self._known:
            unknown = np.flatnonzero(usage_ids == NO_OWNER)
            usage_ids[unknown] = spans.find(keys[unknown], first_us[unknown], last_us[unknown])
        return usage_ids

    def _remember(self, spans: OwnershipSpans) -> None:
        if sum(map(len, self._known)) + len(spans) > _MOST_SPANS:
            self._known.clear()
        while self._known and len(self._known[-1]) < 2 * len(spans):
            spans = OwnershipSpans.merged(self._known.pop(), spans)
        if len(spans):
            self._known.append(spans)


_ASKED = ("msisdn_key", "first_us", "last_us")


def _read(connection: Connection, query: str) -> OwnershipSpans:
    return OwnershipSpans.merged(OwnershipSpans(*read_fixed(connection, query, columns=4)))
