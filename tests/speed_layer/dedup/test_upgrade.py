"""A database from before ids were stored by hour keeps deduplicating, and loses the old segments behind the horizon."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from sqlalchemy import Connection, Engine, text

from bytemeter.migrations import migrate
from bytemeter.settings import Settings
from speed_layer.dedup.filter import set_bits
from tests.databases import database_before
from tests.identities import FEED, HORIZON_H, Process, Record, identified, move_ledger, scalar

# 2 MiB for each filter, 48 ids for each row, as they were.
OLD_BITS, OLD_PACK = 2**24, 48


@pytest.fixture
def before(place: Settings) -> Iterator[Engine]:
    """A database of its own, with the migrations before that of the horizon."""
    with database_before(place, "0016") as engine:
        yield engine


def store_as_before(connection: Connection, records: list[Record], *, full: bool = True, counted: bool = True) -> None:
    """Store a segment as version 0015 did."""
    of = identified(records)
    order = np.argsort(of.keys[:, 0])
    is_set = np.zeros(OLD_BITS, bool)
    set_bits(is_set, of.keys)
    columns = {
        "feed": FEED,
        "counted": counted,
        "filter": np.packbits(is_set).tobytes() if full else None,
        "fences": of.keys[order[::OLD_PACK], 0].tobytes() if full else None,
    }
    create = (
        "insert into seen_segments (feed, counted, filter, fences) values (:feed, :counted, :filter, :fences) "
        "returning segment"
    )
    segment = connection.scalars(text(create), columns).one()
    for pack, begin in enumerate(range(0, len(records), OLD_PACK)):
        ids = of.entries[order[begin : begin + OLD_PACK]].tobytes()
        row = {"segment": segment, "pack": pack, "ids": ids}
        connection.execute(text("insert into seen_ids (segment, pack, ids) values (:segment, :pack, :ids)"), row)


def test_old_segments_are_asked_until_the_horizon_has_passed_them(before: Engine) -> None:
    full = [Record(n, n % 5) for n in range(300)]
    opened = [Record(n, n % 5) for n in range(300, 400)]
    uncounted = [Record(n, 4) for n in range(400, 450)]
    with before.begin() as connection:
        store_as_before(connection, full[:200])
        store_as_before(connection, full[200:])
        store_as_before(connection, uncounted, counted=False)
        store_as_before(connection, opened, full=False)
        move_ledger(connection, [Record(0, 4)])
    assert migrate(before)
    generation = scalar(before, "select generation from seen_generations")
    process = Process(before)
    assert not process.count(*uncounted).duplicate.any()
    assert process.count(*full, *opened, *uncounted, first_offset=1_000).duplicate.all()
    process.end()
    process = Process(before)
    assert process.count(*full, *opened, *uncounted, first_offset=2_000).duplicate.all()
    assert not process.count(Record(1, 5), Record(0, 4 + HORIZON_H), first_offset=3_000).duplicate.any()
    assert process.count(full[4], opened[4], first_offset=4_000).duplicate.all()
    for hour in (5, 6):
        process.count(Record(0, hour + HORIZON_H), first_offset=4_000 + hour)
    assert process.count(full[4], opened[4], first_offset=5_000).behind.all()
    process.end()
    assert scalar(before, f"select to_regclass('seen_ids_{generation}')") is None
    assert scalar(before, "select count(*) from seen_segments where hour is null") == 0
    before.dispose()
