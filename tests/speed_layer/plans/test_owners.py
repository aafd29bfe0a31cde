"""The owner of the records of an MSISDN is the same in memory and in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from speed_layer.plans.owners import NO_OWNER, OwnerLookup, OwnershipSpans
from speed_layer.plans.records import msisdn_key
from speed_layer.plans.tables import create_temporary_tables


class Span(NamedTuple):
    """An ownership span in memory."""

    key: int
    from_us: int
    until_us: int
    usage_id: int


class StoredSpan(NamedTuple):
    """An ownership span in PostgreSQL."""

    msisdn: str
    from_us: int
    until_us: int
    usage_id: int | None


class Asked(NamedTuple):
    """An MSISDN with records from the first to the last instant."""

    msisdn: str
    first_us: int
    last_us: int


# Spans of a few MSISDNs (key, slot, length): in slots of ten microseconds they do not overlap.
SLOT = st.tuples(st.integers(1, 5), st.integers(0, 4), st.integers(1, 10))
ASKED = st.tuples(st.integers(0, 6), st.integers(0, 49), st.integers(0, 12))


def in_memory(spans: list[Span]) -> OwnershipSpans:
    columns = np.array(spans, np.int64).reshape(-1, 4).T
    return OwnershipSpans.merged(OwnershipSpans(*(column.copy() for column in columns)))


def owner(spans: list[Span], key: int, first: int, last: int) -> int:
    for span in spans:
        if span.key == key and span.from_us <= first and last < span.until_us:
            return span.usage_id
    return NO_OWNER


@given(st.lists(SLOT, unique_by=lambda slot: slot[:2]), st.lists(ASKED, min_size=1), st.sets(st.integers(0, 6)))
def test_the_span_is_found_that_contains_all_records(
    slots: list[tuple[int, int, int]], asked: list[tuple[int, int, int]], forgotten: set[int]
) -> None:
    all_spans = [Span(key, 10 * slot, 10 * slot + length, id_) for id_, (key, slot, length) in enumerate(slots)]
    remaining = [span for span in all_spans if span.key not in forgotten]
    keys, first_us, lengths = np.array(asked).T
    last_us = first_us + lengths
    spans = in_memory(all_spans)
    for known in (all_spans, remaining):
        found = spans.find(keys, first_us, last_us)
        expected = [owner(known, *one) for one in zip(keys.tolist(), first_us.tolist(), last_us.tolist(), strict=True)]
        assert found.tolist() == expected
        spans.forget(np.array(sorted(forgotten), np.int64))
    assert len(OwnershipSpans.merged(spans)) == len(remaining)


@pytest.fixture
def connection(engine: Engine) -> Iterator[Connection]:
    with engine.connect() as connection:
        with connection.begin():
            create_temporary_tables(connection)
        yield connection


def store(connection: Connection, *spans: StoredSpan) -> None:
    for span in spans:
        connection.execute(_STORE, span._asdict())


def find(connection: Connection, owners: OwnerLookup, *asked: Asked) -> list[int]:
    msisdns, first_us, last_us = zip(*asked, strict=True)
    keys = list(map(msisdn_key, msisdns))
    totals = pa.table({"msisdn": msisdns, "msisdn_key": keys, "first_us": first_us, "last_us": last_us})
    with connection.begin():
        return owners.find(connection, totals).tolist()


def test_spans_that_were_read_are_remembered(connection: Connection) -> None:
    owners = OwnerLookup()
    with connection.begin():
        store(
            connection,
            StoredSpan("48", 0, 10, usage_id=1),
            StoredSpan("48", 10, 20, usage_id=2),
            StoredSpan("048", 0, 20, usage_id=3),
            StoredSpan("49", 0, 20, usage_id=None),
        )
    expected = {
        Asked("48", 0, 9): 1,
        Asked("48", 10, 19): 2,
        Asked("48", 9, 10): NO_OWNER,
        Asked("048", 5, 15): 3,
        Asked("49", 0, 0): NO_OWNER,
        Asked("50", 0, 0): NO_OWNER,
    }
    for _ in range(2):
        assert find(connection, owners, *expected) == list(expected.values())
        with connection.begin():
            connection.execute(text("update plan_segments set usage_id = 9 where msisdn = '48'"))


@pytest.mark.parametrize(
    ("latest_s", "expected"), [([], [1, 2, 3]), ([5, 3], [NO_OWNER, 2, 3])], ids=["no record yet", "at second 3"]
)
def test_a_start_reads_the_spans_of_the_present(
    connection: Connection, latest_s: list[int], expected: list[int]
) -> None:
    owners = OwnerLookup()
    with connection.begin():
        store(
            connection,
            StoredSpan("48", 0, 3_000_000, usage_id=1),
            StoredSpan("48", 3_000_000, 9_000_000, usage_id=2),
            StoredSpan("49", 0, 3_000_001, usage_id=3),
        )
        for partition, seconds in enumerate(latest_s):
            connection.execute(_LATEST_EVENT_TIME, {"partition": partition, "seconds": seconds})
        owners.load(connection)
        # Only memory has them now.
        connection.execute(text("delete from plan_segments"))
    asked = Asked("48", 0, 1), Asked("48", 3_000_000, 4_000_000), Asked("49", 0, 0)
    assert find(connection, owners, *asked) == expected


def test_spans_of_changed_msisdns_are_read_again(connection: Connection) -> None:
    owners = OwnerLookup()
    with connection.begin():
        store(connection, *(StoredSpan(str(n), 0, 10, usage_id=n) for n in range(100)))
    asked = [Asked(str(n), 0, 9) for n in range(100)]
    for begin in range(0, 100, 7):
        assert find(connection, owners, *asked[begin : begin + 7]) == list(range(100))[begin : begin + 7]
    with connection.begin():
        owners.forget(connection, ["3", "50", "123"])
    assert find(connection, owners, *asked) == [NO_OWNER if n in (3, 50) else n for n in range(100)]
    with connection.begin():
        store(connection, StoredSpan("3", 5, 10, usage_id=200))
    assert find(connection, owners, Asked("3", 0, 4), Asked("3", 5, 9), Asked("4", 5, 9)) == [NO_OWNER, 200, 4]


_STORE = text("""
insert into plan_segments (msisdn, served_from_us, served_until_us, agreement_id, period_start, usage_id)
values (:msisdn, :from_us, :until_us, 'a', now(), :usage_id)
""")
_LATEST_EVENT_TIME = text("""
insert into ledger (feed, partition, topic_id, next_offset, latest_event_time)
values ('data-records', :partition, 't', 1, to_timestamp(:seconds))
""")
