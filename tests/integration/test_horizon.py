"""Records behind the identity horizon count live whatever their event ids, and once after the recompute."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bytemeter.settings import Settings
from tests.messages import device

Rows = Callable[..., list[tuple[Any, ...]]]

HOUR_S = 3_600


def test_a_repeat_behind_the_horizon_counts_until_its_hour_is_recomputed(
    place: Settings, put: Callable[..., None], stream: Callable[..., None], recompute: Callable[..., Any], rows: Rows
) -> None:
    settings = place.model_copy(update={"identity_horizon_s": 2 * HOUR_S})
    now = int(time.time())
    records = [
        device(event_id=f"e{age_h}", timestamp=now - age_h * HOUR_S, app=f"A{age_h}", bytes=100) for age_h in (0, 2, 3)
    ]
    for _ in range(3):  # micro-batches of processes of their own
        put(records)
        stream(settings=settings)
    by_app = "select id, sum(value)::int from {} where type = 'app_bytes_total' group by id order by id"
    assert rows(by_app.format("bytes")) == [("A0", 100), ("A2", 100), ("A3", 300)]
    account = "select received, counted, duplicate, behind_horizon from ledger where received > 0"
    assert rows(account) == [(9, 5, 4, 2)]
    assert recompute().hours == 3
    for table in ("bytes_hourly", "usage_hourly"):
        assert rows(by_app.format(table)) == [("A0", 100), ("A2", 100), ("A3", 100)]
    put(records[2:])
    stream(settings=settings)
    assert rows("select count(*) from hours where dirty") == [(1,)]
    assert recompute().hours == 1
    assert rows(by_app.format("usage_hourly")) == [("A0", 100), ("A2", 100), ("A3", 100)]
