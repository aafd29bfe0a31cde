"""Messages of a feed with totals as rows, and rows added up."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyspark.sql import Row

from bytemeter.feeds import DEVICES
from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.usage.rows import totals, usage_rows

SCHEMA = (
    "partition int, offset long, value binary, bytes long, timestamp long, app string, id string, antenna_id string, "
    "event_id string, epoch_s long, reason string"
)
Run = Callable[..., list[Row]]


def record(partition: int, offset: int, size: int, event_id: str | None = None) -> tuple[Any, ...]:
    return (partition, offset, b"raw", size, 610, "MAPS", "u1", "a1", event_id, 610, None)


def refused(offset: int, reason: str, value: bytes | None, epoch_s: int | None) -> tuple[Any, ...]:
    return (0, offset, value, 5, epoch_s, None, "u1", "a1", None, epoch_s, reason)


def rows(run: Run, data: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    found = run(usage_rows(DEVICES), data, SCHEMA)
    told = [{name: value for name, value in row.asDict().items() if value is not None} for row in found]
    return sorted(told, key=lambda row: (row["partition"], row["record_offset"]))


def test_a_valid_record_is_told_by_what_it_adds(run: Run) -> None:
    (row,) = rows(run, [record(1, 7, 100)])
    assert {name: row[name] for name in ("partition", "record_offset", "valid_s", "value", "app", "id", "antenna_id")} == {
        "partition": 1, "record_offset": 7, "valid_s": 610, "value": 100, "app": "MAPS", "id": "u1", "antenna_id": "a1",
    }  # fmt: skip
    assert not {"reason", "payload", "refused_s", "id_hash"} & row.keys()


def test_an_invalid_message_is_kept_as_received(run: Run) -> None:
    bad, tombstone = rows(run, [refused(1, "not JSON", b"{", None), refused(2, "tombstone", None, None)])
    assert (bad["reason"], bytes(bad["payload"])) == ("not JSON", b"{")
    assert tombstone["reason"] == "tombstone"
    assert not {"valid_s", "refused_s"} & (bad.keys() | tombstone.keys())
    assert "payload" not in tombstone


def test_only_what_the_clock_refused_keeps_its_event_time(run: Run) -> None:
    found = rows(run, [refused(1, REFUSED_BY_CLOCK, b"x", 9_000), refused(2, "negative bytes", b"y", 700)])
    assert [row.get("refused_s") for row in found] == [9_000, None]


def test_an_id_is_told_with_its_time_and_content(run: Run) -> None:
    found = rows(run, [record(0, 1, 8, "e"), record(0, 2, 8, "e"), record(1, 5, 9, "e")])
    assert {bytes(row["id_hash"]) for row in found} == {hashlib.md5(b"e", usedforsecurity=False).digest()}
    assert {row["event_us"] for row in found} == {610_000_000}
    contents = [row["content_hash"] for row in found]
    assert contents[0] == contents[1] != contents[2]


def test_records_are_added_up_by_dimension_and_window() -> None:
    records = {
        "valid_s": [600, 899, 900, 650],
        "value": [100, 20, 3, 4],
        "app": ["MAPS", "MAPS", "MAPS", "GMAIL"],
        "id": ["u1", "u1", "u1", "u2"],
        "antenna_id": ["a1", "a1", "a1", "a1"],
    }
    added = sorted(tuple(row.values()) for row in totals(DEVICES, pa.table(records)).to_pylist())
    assert added == [
        ("antenna_bytes_total", "a1", 600, 124),
        ("antenna_bytes_total", "a1", 900, 3),
        ("app_bytes_total", "GMAIL", 600, 4),
        ("app_bytes_total", "MAPS", 600, 120),
        ("app_bytes_total", "MAPS", 900, 3),
        ("user_bytes_total", "u1", 600, 120),
        ("user_bytes_total", "u1", 900, 3),
        ("user_bytes_total", "u2", 600, 4),
    ]
