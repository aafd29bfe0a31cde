"""Finds the records that crossed thresholds in a micro-batch, and makes their events."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlalchemy import Connection

from bytemeter.plans.arrays import bigint_array
from bytemeter.plans.events import Crossing, ThresholdEvent
from bytemeter.plans.judging import ReachedThreshold, reach_thresholds
from bytemeter.plans.periods import instant
from bytemeter.sql import Statements
from speed_layer.plans.one_by_one import CountedOneByOne
from speed_layer.plans.records import NewRecords
from speed_layer.plans.tables import copy_single_records
from speed_layer.plans.together import CountedTogether
from speed_layer.postgres.lookups import no_nested_loops

SQL = Statements(__package__, "crossings.sql")


def cross_thresholds(
    connection: Connection, records: NewRecords, together: CountedTogether, one_by_one: CountedOneByOne
) -> list[ThresholdEvent]:
    """The events of thresholds that the micro-batch's records crossed, in the order of agreement, period and threshold.

    Reads ``single_records``, which has the records that were counted one by one already; copies the other records of
    the periods into it. Writes the periods' next thresholds.
    """
    usage_ids = [*together.added.reached, *one_by_one.added.reached]
    if not usage_ids:
        return []
    reached = reach_thresholds(connection, usage_ids)
    _copy_records_of_reached(connection, records, together, usage_ids)
    crossings = _find_crossings(connection, reached)
    return [threshold.event(crossing) for threshold, crossing in zip(reached, crossings, strict=True)]


def _copy_records_of_reached(
    connection: Connection, records: NewRecords, together: CountedTogether, periods: Sequence[int]
) -> None:
    """Copy the records of MSISDNs that were counted together and whose period reaches a threshold.

    Also where it reaches it by records of another MSISDN, counted one by one: all are taken in the order of instants.
    """
    reached = np.isin(together.usage_ids, np.array(periods, np.int64))
    msisdns, usage_ids = together.msisdns.filter(pa.array(reached)), together.usage_ids[reached]
    rows = records.of(msisdns)
    copy_single_records(connection, rows, usage_ids[pc.index_in(rows.column("msisdn"), msisdns).to_numpy()])


def _find_crossings(connection: Connection, reached: Sequence[ReachedThreshold]) -> Iterator[Crossing]:
    """The record that crossed each of the thresholds, in their order."""
    thresholds = {
        "usage_ids": bigint_array(threshold.usage_id for threshold in reached),
        "thresholds": bigint_array(threshold.threshold_bytes for threshold in reached),
        "totals": bigint_array(threshold.total_bytes for threshold in reached),
    }
    with no_nested_loops(connection):
        rows = connection.execute(SQL["find_crossings"], thresholds).all()
    return (Crossing(row.total, instant(row.event_us), row.internal_id) for row in rows)
