"""Counts the records of MSISDNs whose records all belong to one known billing period: as one sum for each MSISDN."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from sqlalchemy import Connection

from speed_layer.plans.additions import Added, add_to_periods, lacking_periods
from speed_layer.plans.owners import NO_OWNER, Integers, OwnerLookup
from speed_layer.postgres.copying import copy_fixed, instants


@dataclass(frozen=True)
class CountedTogether:
    """What ``count_together`` has counted.

    Attributes:
        added: the billing periods to which sums were added.
        msisdns: all MSISDNs of the micro-batch.
        usage_ids: for each of them the billing period to which its sum was added, or ``NO_OWNER``.
    """

    added: Added
    msisdns: pa.ChunkedArray
    usage_ids: Integers

    @property
    def uncounted(self) -> pa.ChunkedArray:
        """The MSISDNs whose records were not added: they must be counted one by one."""
        return self.msisdns.filter(pa.array(self.usage_ids == NO_OWNER))


def count_together(connection: Connection, owners: OwnerLookup, totals: pa.Table) -> CountedTogether:
    """Add the sums of MSISDNs whose owner is known to their billing periods.

    Reads the owners, from memory where it can. Writes ``additions`` and ``data_plan_usage``.

    Args:
        totals: see ``speed_layer.plans.records.by_msisdn``.
    """
    msisdns, usage_ids = totals.column("msisdn"), owners.find(connection, totals)
    # In the order of the table's rows. NO_OWNER comes first.
    order = np.argsort(usage_ids)[np.count_nonzero(usage_ids == NO_OWNER) :]
    if not len(order):
        return CountedTogether(Added(), msisdns, usage_ids)
    _copy_additions(connection, usage_ids[order], totals.take(order))
    added = add_to_periods(connection, one_by_one=False)
    if added.periods < len(order):
        lacking = np.isin(usage_ids, lacking_periods(connection))
        owners.forget(connection, msisdns.filter(pa.array(lacking)).to_pylist())
        usage_ids[lacking] = NO_OWNER
    return CountedTogether(added, msisdns, usage_ids)


def _copy_additions(connection: Connection, usage_ids: Integers, totals: pa.Table) -> None:
    columns = {
        "usage_id": usage_ids.astype(">i8"),
        "one_by_one": np.zeros(len(usage_ids), "?"),
        "bytes": totals.column("bytes").to_numpy().astype(">i8"),
        "latest_at": instants(totals.column("last_us").to_numpy()),
    }
    copy_fixed(connection, "additions", columns, {"latest_record": totals.column("latest_record")})
