"""What is told to be new is not in the table, whatever came before, and after a new start."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import Engine

from bytemeter.feeds import DEVICES
from speed_layer.executor.totals import totals_parts
from speed_layer.totals import windows
from speed_layer.totals.query import TotalsQuery
from speed_layer.totals.table import LiveTable
from speed_layer.totals.windows import YoungWindows
from tests.messages import device, messages

WINDOW = 1_763_700_000
TABLE = LiveTable.of(DEVICES)
TYPES = TABLE.types
Total = tuple[str, str, int]


def totals(*keys: Total) -> pa.Table:
    schema = pa.schema({"type": pa.string(), "id": pa.string(), "window_s": pa.int64(), "value": pa.int64()})
    return pa.Table.from_pylist([dict(zip(schema.names, (*key, 1), strict=True)) for key in keys], schema)


def young() -> YoungWindows:
    return YoungWindows(TABLE)


@pytest.mark.parametrize("most", [60, 4_000_000])
def test_only_totals_of_young_windows_that_were_not_there_are_new(
    engine: Engine, rows: Callable[..., list[tuple[Any, ...]]], monkeypatch: pytest.MonkeyPatch, most: int, seed: int
) -> None:
    monkeypatch.setattr(windows, "_MOST_HASHES", most)
    rng = random.Random(seed)
    there: set[Total] = set()
    told_new, followed = 0, young()
    with engine.begin() as connection:
        for number in range(60):
            if number % 20 == 19:  # a new start
                followed = young()
            latest = WINDOW + 300 * (number // 6)
            keys = {
                (rng.choice(TYPES), str(rng.randrange(12)), latest - 300 * rng.choice([0, 0, 0, 1, 5]))
                for _ in range(rng.randrange(1, 25))
            }
            batch = totals(*sorted(keys))
            new = pa.array(followed.new(connection, batch))
            claimed = {tuple(row.values())[:3] for row in batch.filter(new).to_pylist()}
            assert not claimed & there
            TABLE.copy(connection, totals(*sorted(keys - there)))
            told_new += len(claimed)
            there |= keys
    assert told_new > len(there) / 2
    assert rows("select count(*) from bytes") == [(len(there),)]


def test_totals_are_the_same_whether_their_window_was_followed_or_not(
    engine: Engine, rows: Callable[..., list[tuple[Any, ...]]]
) -> None:
    batches = [[device(id="u")], [device(id="u"), device(id="v")], [device(id="w", timestamp=WINDOW + 300)]]
    found = []
    for new_starts in (False, True):
        connection, query = engine.connect(), TotalsQuery(DEVICES)
        with connection.begin():
            query.open(connection)
            query.load(connection)
        for batch in batches * 2:
            if new_starts:
                connection.close()
                connection, query = engine.connect(), TotalsQuery(DEVICES)
                with connection.begin():
                    query.open(connection)
                    query.load(connection)
            with connection.begin():
                query.prepare({"devices": totals_parts(DEVICES, messages(*batch))})(connection)
        connection.close()
        found.append(rows("select * from bytes order by type, id, timestamp"))
        with engine.begin() as owner:
            owner.exec_driver_sql("truncate bytes")
    assert found[0] == found[1]
    assert (
        sum(value for type_, *_, value in found[0] if type_ == "user_bytes_total") == 8 * json.loads(device())["bytes"]
    )
