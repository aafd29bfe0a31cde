"""A micro-batch as rows to be staged."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, Row

from bytemeter.feeds import DEVICES
from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.usage.staging import ACCOUNT, IDENTIFIED, INVALID, TOTAL, add_up, facts

SCHEMA = (
    "partition int, offset long, value binary, bytes long, timestamp long, app string, id string, antenna_id string, "
    "event_id string, epoch_s long, reason string"
)


def record(partition: int, offset: int, size: int, event_id: str | None = None, epoch_s: int = 610) -> tuple[Any, ...]:
    return (partition, offset, b"raw", size, epoch_s, "MAPS", "u1", "a1", event_id, epoch_s, None)


def refused(partition: int, offset: int, reason: str, value: bytes | None, epoch_s: int | None) -> tuple[Any, ...]:
    return (partition, offset, value, 5, epoch_s, None, "u1", "a1", None, epoch_s, reason)


def staged(run: Callable[..., list[Row]], data: list[tuple[Any, ...]]) -> list[dict[str, Any]]:
    def transform(parsed: DataFrame) -> DataFrame:
        return parsed.transform(facts(DEVICES)).transform(add_up)

    rows = run(transform, data, SCHEMA, mode="complete")
    return [{name: value for name, value in row.asDict().items() if value is not None} for row in rows]


def of_kind(rows: list[dict[str, Any]], kind: int) -> list[dict[str, Any]]:
    found = [{name: value for name, value in row.items() if name != "kind"} for row in rows if row["kind"] == kind]
    return sorted(found, key=str)


def test_records_become_totals_and_the_account_of_their_partition(run: Callable[..., list[Row]]) -> None:
    rows = staged(run, [record(0, 10, 100), record(0, 11, 20, epoch_s=650), record(1, 7, 3, epoch_s=899)])
    assert of_kind(rows, ACCOUNT) == [
        {"partition": 0, "value": 120, "records": 2, "latest_s": 650},
        {"partition": 1, "value": 3, "records": 1, "latest_s": 899},
    ]
    assert of_kind(rows, TOTAL) == [
        {
            "type": f"{name}_bytes_total",
            "id": id_,
            "window_s": 600,
            "value": 123,
            "records": 3,
            "latest_s": 899,
        }
        for name, id_ in (("antenna", "a1"), ("app", "MAPS"), ("user", "u1"))
    ]
    assert of_kind(rows, INVALID) == of_kind(rows, IDENTIFIED) == []


def test_an_invalid_message_is_kept_as_received_and_adds_to_nothing(run: Callable[..., list[Row]]) -> None:
    rows = staged(run, [refused(0, 1, "not JSON", b"{", None), refused(0, 2, "tombstone", None, None)])
    assert of_kind(rows, TOTAL) == []
    assert of_kind(rows, ACCOUNT) == [{"partition": 0, "records": 2}]
    assert of_kind(rows, INVALID) == [
        {"type": "not JSON", "partition": 0, "record_offset": 1, "payload": b"{", "records": 1},
        {"type": "tombstone", "partition": 0, "record_offset": 2, "records": 1},
    ]


def test_only_what_the_clock_refused_keeps_its_event_time(run: Callable[..., list[Row]]) -> None:
    rows = staged(run, [refused(0, 1, REFUSED_BY_CLOCK, b"x", 9_000), refused(0, 2, "negative bytes", b"y", 700)])
    assert {row["type"]: row.get("window_s") for row in of_kind(rows, INVALID)} == {
        REFUSED_BY_CLOCK: 9_000,
        "negative bytes": None,
    }


def test_a_record_with_an_id_is_staged_beside_its_totals(run: Callable[..., list[Row]]) -> None:
    same, other = record(0, 1, 8, event_id="e"), record(1, 5, 9, event_id="e")
    identified = of_kind(staged(run, [same, record(0, 2, 8, event_id="e"), other]), IDENTIFIED)
    assert [(row["partition"], row["record_offset"], row["value"]) for row in identified] == [
        (0, 1, 8),
        (0, 2, 8),
        (1, 5, 9),
    ]
    assert {bytes(row["id_hash"]) for row in identified} == {hashlib.md5(b"e", usedforsecurity=False).digest()}
    assert all(row["ids"] == ["a1", "MAPS", "u1"] and row["window_s"] == 600 for row in identified)
    contents = [row["content_hash"] for row in identified]
    assert contents[0] == contents[1] != contents[2]
