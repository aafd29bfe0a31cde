"""Whose the records of a number are, as PostgreSQL and as memory know it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from speed_layer.plans import statements
from speed_layer.plans.owners import NO_OWNER, OwnerLookup, Segments
from speed_layer.plans.records import number

Segment = tuple[int, int, int, int]
# Of a few numbers, in slots of ten microseconds that do not overlap.
SEGMENT = st.tuples(st.integers(1, 5), st.integers(0, 4), st.integers(1, 10))


def segments_of(rows: list[Segment]) -> Segments:
    columns = np.array(rows, np.int64).reshape(-1, 4).T
    return Segments.merged(Segments(*(column.copy() for column in columns)))


def owner(rows: list[Segment], wanted: int, first: int, last: int) -> int:
    for one, from_us, until_us, usage_id in rows:
        if one == wanted and from_us <= first and last < until_us:
            return usage_id
    return NO_OWNER


@given(
    st.lists(SEGMENT, unique_by=lambda told: told[:2]),
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 49), st.integers(0, 12)), min_size=1),
    st.sets(st.integers(0, 6)),
)
def test_the_segment_is_found_that_has_all_of_the_time(
    told: list[tuple[int, int, int]], wanted: list[tuple[int, int, int]], forgotten: set[int]
) -> None:
    rows = [(one, 10 * slot, 10 * slot + length, usage_id) for usage_id, (one, slot, length) in enumerate(told)]
    numbers, first_us, lengths = np.array(wanted).T
    segments = segments_of(rows)
    for known in (rows, [row for row in rows if row[0] not in forgotten]):
        found = segments.find(numbers, first_us, first_us + lengths)
        asked = zip(numbers.tolist(), first_us.tolist(), (first_us + lengths).tolist(), strict=True)
        assert found.tolist() == [owner(known, *one) for one in asked]
        segments.forget(np.array(sorted(forgotten), np.int64))
    assert len(Segments.merged(segments)) == len([row for row in rows if row[0] not in forgotten])


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        with connection.begin():
            connection.exec_driver_sql(statements.TEMPORARY_TABLES)
        yield connection


def keep(connection: Connection, *rows: tuple[str, int, int, int | None]) -> None:
    """Segments of numbers: from, until and usage_id."""
    for msisdn, first, until, usage_id in rows:
        segment = {"msisdn": msisdn, "first": first, "until": until, "usage_id": usage_id}
        connection.execute(_KEEP, segment)


def find(connection: Connection, owners: OwnerLookup, *rows: tuple[str, int, int]) -> list[int]:
    """The owners of numbers with records from first to last."""
    msisdns, first_us, last_us = zip(*rows, strict=True)
    totals = {"msisdn": msisdns, "number": list(map(number, msisdns)), "first_us": first_us, "last_us": last_us}
    with connection.begin():
        return owners.find(connection, pa.table(totals)).tolist()


def test_what_was_asked_for_is_known(connection: Connection) -> None:
    owners = OwnerLookup()
    with connection.begin():
        keep(connection, ("48", 0, 10, 1), ("48", 10, 20, 2), ("048", 0, 20, 3), ("49", 0, 20, None))
    for _ in range(2):
        asked = ("48", 0, 9), ("48", 10, 19), ("48", 9, 10), ("048", 5, 15), ("49", 0, 0), ("50", 0, 0)
        assert find(connection, owners, *asked) == [1, 2, NO_OWNER, 3, NO_OWNER, NO_OWNER]
        with connection.begin():
            connection.execute(text("update plan_segments set usage_id = 9 where msisdn = '48'"))


@pytest.mark.parametrize(("come_to", "known"), [([], [1, 2, 3]), ([5, 3], [NO_OWNER, 2, 3])])
def test_a_start_knows_those_of_the_present(connection: Connection, come_to: list[int], known: list[int]) -> None:
    owners = OwnerLookup()
    with connection.begin():
        keep(connection, ("48", 0, 3_000_000, 1), ("48", 3_000_000, 9_000_000, 2), ("49", 0, 3_000_001, 3))
        for partition, seconds in enumerate(come_to):
            connection.execute(_COME_TO, {"partition": partition, "seconds": seconds})
        owners.load(connection)
        # What is known is not asked for.
        connection.execute(text("delete from plan_segments"))
    assert find(connection, owners, ("48", 0, 1), ("48", 3_000_000, 4_000_000), ("49", 0, 0)) == known


def test_what_has_changed_is_asked_for_again(connection: Connection) -> None:
    owners = OwnerLookup()
    with connection.begin():
        keep(connection, *((str(msisdn), 0, 10, msisdn) for msisdn in range(100)))
    some = [(str(msisdn), 0, 9) for msisdn in range(100)]
    for begin in range(0, 100, 7):
        assert find(connection, owners, *some[begin : begin + 7]) == list(range(100))[begin : begin + 7]
    with connection.begin():
        owners.forget(connection, ["3", "50", "123"])
    assert find(connection, owners, *some) == [NO_OWNER if n in (3, 50) else n for n in range(100)]
    with connection.begin():
        keep(connection, ("3", 5, 10, 200))
    assert find(connection, owners, ("3", 0, 4), ("3", 5, 9), ("4", 5, 9)) == [NO_OWNER, 200, 4]


_KEEP = text("""
insert into plan_segments (msisdn, served_from_us, served_until_us, agreement_id, period_start, usage_id)
values (:msisdn, :first, :until, 'a', now(), :usage_id)
""")
_COME_TO = text("""
insert into ledger (feed, partition, topic_id, next_offset, latest_event_time)
values ('data-records', :partition, 't', 1, to_timestamp(:seconds))
""")
