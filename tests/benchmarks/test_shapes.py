"""The message shapes of the benchmarks: the same records, each shape written in its own way."""

from __future__ import annotations

import pytest

from benchmarks.parsing import messages_of
from benchmarks.shapes import COMPACT, SHAPES
from bytemeter.feeds import DEVICES
from bytemeter.parsing import parse, structs

RECORDS = 200


def messages(shape: str) -> list[bytes]:
    values: list[bytes] = [
        value for table in messages_of(shape, RECORDS) for value in table.column("value").to_pylist()
    ]
    return values


def records(shape: str) -> list[dict[str, object]]:
    parsed: list[dict[str, object]] = []
    for table in messages_of(shape, RECORDS):
        parsed += parse(DEVICES, table).drop_columns(["value"]).to_pylist()
    return parsed


@pytest.mark.parametrize("with_msgspec", [True, False])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != COMPACT])
def test_a_shape_has_the_same_valid_records_in_other_messages(
    shape: str, with_msgspec: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structs, "AVAILABLE", with_msgspec)
    assert records(shape) == records(COMPACT)
    assert {record["reason"] for record in records(shape)} == {None}
    assert all(message != compact for message, compact in zip(messages(shape), messages(COMPACT), strict=True))


def test_only_escapes_write_characters_beyond_ascii_as_ascii() -> None:
    ascii_only = {shape for shape in SHAPES if all(message.isascii() for message in messages(shape))}
    assert ascii_only == {"Python's default escapes"}


def test_invalid_messages_are_as_many_as_asked_for() -> None:
    reasons = [
        reason
        for table in messages_of(COMPACT, 5_000, invalid=0.01)
        for reason in parse(DEVICES, table, now_us=1_763_800_000_000_000).column("reason").to_pylist()
    ]
    assert 20 < len([reason for reason in reasons if reason]) < 90
