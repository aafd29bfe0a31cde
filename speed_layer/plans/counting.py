"""One micro-batch of agreements and data records, counted in one transaction: the steps in their order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlalchemy import Connection

from bytemeter.feeds import DATA_RECORDS
from bytemeter.plans import agreements
from bytemeter.plans.events import ThresholdEvent
from bytemeter.plans.judging import amend, reach_thresholds
from speed_layer.accounts import judged_accounts
from speed_layer.dedup.ids import Deduplicator
from speed_layer.engine.live_query import Account
from speed_layer.plans.crossings import cross_thresholds
from speed_layer.plans.one_by_one import count_one_by_one
from speed_layer.plans.owners import OwnerLookup
from speed_layer.plans.records import Records
from speed_layer.plans.together import count_together

# Each is an object while it is written: all of a large micro-batch would take a gigabyte.
_AGREEMENTS_AT_ONCE = 20_000


@dataclass(frozen=True)
class Counted:
    """What a micro-batch changed.

    Attributes:
        accounts: records that are duplicate, behind the horizon or unmatched, by partition.
        events: thresholds of changed limits, thresholds that records crossed, amendments of closed periods.
    """

    accounts: Sequence[Account]
    events: Sequence[ThresholdEvent]


def count_micro_batch(
    connection: Connection, deduplicator: Deduplicator, owners: OwnerLookup, messages: pa.Table, records: Records
) -> Counted:
    """Count a micro-batch, inside of the caller's transaction. After it ``Deduplicator.finish`` is called.

    The usual micro-batch has no agreements, and a known owner for each MSISDN: it is one COPY of sums and one UPDATE of
    ``data_plan_usage``. PostgreSQL looks at records one by one only where the owner is not known, where the records of
    an MSISDN belong to several billing periods, and where a threshold is reached.

    Args:
        messages: agreements, see ``speed_layer.executor.plans.agreement_parts``.
        records: data records.
    """
    # Writes the agreements, and judges changed limits.
    changes = take_agreements(connection, owners, messages)
    # Lists the duplicates, and remembers the ids of the other records.
    judged = deduplicator.find_duplicates(connection, records.identified)
    new = records.without(judged.duplicate)
    # Adds one sum for each MSISDN whose records all belong to one known billing period.
    together = count_together(connection, owners, new.totals)
    # Finds the billing period of each other record, and of those that have waited for one of the agreements.
    one_by_one = count_one_by_one(connection, new.of(together.uncounted), changed_msisdns=changes.msisdns)
    # Finds the records that crossed thresholds, in the periods that reach one.
    crossed = cross_thresholds(connection, new, together, one_by_one)
    amended = amend(connection, [*together.added.closed, *one_by_one.added.closed])
    return Counted(
        accounts=[
            *judged_accounts(DATA_RECORDS.name, records.rows, judged),
            *one_by_one.accounts,
        ],
        events=[*changes.events, *crossed, *amended],
    )


@dataclass(frozen=True)
class ChangedAgreements:
    """What agreements changed.

    Attributes:
        msisdns: their records may have another owner now; their ownership spans are forgotten.
        events: thresholds that totals reach because limits changed.
    """

    msisdns: frozenset[str]
    events: Sequence[ThresholdEvent]


def take_agreements(connection: Connection, owners: OwnerLookup, messages: pa.Table) -> ChangedAgreements:
    """Write the versions of agreements, in the order in which Kafka received them, and judge changed limits.

    Writes ``agreement_versions`` and the tables that follow from them, and ``data_plan_usage``; deletes ownership spans
    from ``plan_segments``.

    Args:
        messages: see ``speed_layer.executor.plans.agreement_parts``.
    """
    in_order = messages.sort_by([("received_us", "ascending"), ("record_offset", "ascending")])
    msisdns: set[str] = set()
    events: list[ThresholdEvent] = []
    for begin in range(0, in_order.num_rows, _AGREEMENTS_AT_ONCE):
        part = in_order.slice(begin, _AGREEMENTS_AT_ONCE).to_pylist()
        changes = agreements.take(connection, list(map(agreements.agreement, part)))
        if changes.msisdns:
            owners.forget(connection, changes.msisdns)
        if changes.relimited:
            events += [threshold.event() for threshold in reach_thresholds(connection, changes.relimited)]
        msisdns |= changes.msisdns
    return ChangedAgreements(frozenset(msisdns), events)
