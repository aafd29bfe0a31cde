"""Decoding many messages at once gives what Python's json gives of each message by itself, however it is written."""

from __future__ import annotations

import json
from decimal import Decimal as Exact
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytemeter.feeds import AGREEMENTS, DEVICES, Decimal, Field, Number, Text, Whole, WholeList
from bytemeter.parsing import checking, decoding, structs
from bytemeter.parsing.decoding import decode
from bytemeter.parsing.single import read_single
from tests.messages import DEVICE, agreement_document, device

NESTED = (
    Field("eid", Text(max_length=8)),
    Field("channel", Text(), path=("context", "channel")),
    Field("session", Text(), required=False, path=("context", "session", "id")),
    Field("amount", Decimal()),
    Field("price", Decimal(digits=3, scale=2), required=False, path=("edata", "price")),
    Field("scores", WholeList(), required=False, path=("edata", "scores")),
    Field("ets", Number()),
    Field("length", Number(), required=False, path=("edata", "length")),
    Field("duration", Number(others_are_null=True), required=False, path=("edata", "duration")),
    Field("did", Text(empty_is_null=True), required=False, path=("context", "did")),
)
# As JSON may hold them, and as it may not: numbers at the limits, surrogates, depths, what Python alone reads.
_ODD = [
    *("0", "-0", "1.0", "1e3", "01", "+1", ".5", "1.", "9223372036854775807", "9223372036854775808", "9" * 30),
    *("9" * 5_000, "true", "null", "NaN", "-Infinity", '""', '"\\u0000"', '"\\ud800"', '"\\udc00"'),
    *('"\\ud83d\\ude00"', '"\\x"', '"\t"', '"\ufeff"', "'x'", "[]", "{}", "[1,]", "[1.5]", "[null]", '{"a":{"b":[1]}}'),
    *('"199.99"', "199.99", '"0.1234567"', "123456789012345.123456", "1234567890123456", '" 1"', '"1e2"', '"-0.000"'),
    *(
        "1e308",
        "1e309",
        "-1e999",
        "-0.0",
        "1e-400",
        "9" * 308,
        "9" * 309,
        "0.1000000000000000055511151231257827",
        "5e-324",
    ),
    *("[" * 2_000 + "]" * 2_000, '"' + "a" * 512 + '"', '"' + "a" * 513 + '"', '"' + "😀" * 512 + '"'),
]
_NAMES = st.sampled_from(
    [
        "eid",
        "context",
        "channel",
        "session",
        "id",
        "amount",
        "edata",
        "price",
        "scores",
        "ets",
        "length",
        "duration",
        "did",
        "bytes",
        "app",
        "x",
        "\\u0065id",
    ]
)
_SPACE = st.sampled_from(["", "", "", " ", "\n", "\t", "\v", "\u00a0"])
_SCALARS = st.one_of(
    st.sampled_from(_ODD),
    st.integers(-(2**64), 2**64).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=9).map(json.dumps),
    st.text(max_size=9).map(lambda text: json.dumps(text, ensure_ascii=False)),
    st.decimals(-(10**16), 10**16, places=6, allow_nan=False).map(lambda number: f"{number:f}"),
)


def _written(members: list[tuple[str, str, str]]) -> str:
    return "{" + ",".join(f'{space}"{name}"{space}:{space}{value}' for name, value, space in members) + "}"


def _object(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.tuples(_NAMES, values, _SPACE), max_size=6).map(_written)


_DOCUMENTS = _object(st.recursive(_SCALARS, _object, max_leaves=5))
_GOOD = {
    "eid": "START",
    "context": {"channel": "ż", "session": {"id": "s"}},
    "amount": "12.5",
    "edata": {"price": 1.25, "length": 0.1, "duration": 2},
    "ets": 1600545287123.25,
}


def _mutated(message: bytes, cut: int, insert: bytes) -> bytes:
    at = cut % (len(message) + 1)
    return message[:at] + insert + message[at + len(insert) % 2 :]


_MUTATIONS = st.builds(
    _mutated,
    st.just(json.dumps(_GOOD, ensure_ascii=False).encode()),
    st.integers(0, 10_000),
    st.one_of(
        st.binary(max_size=2), st.sampled_from([b"\xed\xa0\x80", b"\xef\xbb\xbf", b"}{", b'","', b"\\ud800", b"\n"])
    ),
)
_MESSAGES = st.one_of(
    st.none(),
    st.binary(max_size=6),
    _DOCUMENTS.map(lambda text: text.encode(errors="surrogatepass")),
    _MUTATIONS,
    st.just(json.dumps(_GOOD).encode()),
)


def _deep(levels: int) -> bytes:
    """A good message with so many levels of arrays in a member that is not picked."""
    more = "[" * levels + "]" * levels
    return json.dumps(_GOOD)[:-1].encode() + f',"more":{more}}}'.encode()


def rows(fields: tuple[Field, ...], *values: bytes | None) -> list[dict[str, Any]]:
    found = decode(fields, pa.array(values, pa.binary()))
    found.validate(full=True)
    as_rows: list[dict[str, Any]] = found.to_pylist()
    return as_rows


def read_one_by_one(fields: tuple[Field, ...], *values: bytes | None) -> list[dict[str, Any]]:
    nothing = {field.name: None for field in fields} | {"reason": None}
    return [nothing | read_single(fields, value) for value in values]


@settings(max_examples=300)
@given(st.lists(_MESSAGES, max_size=12), st.sampled_from([1, 3, 2_000]))
@example([b"[" * 100_000, b'{"eid":' + b"[" * 100_000, *(_deep(n) for n in (498, 499, 500, 501, 980, 1_200))], 1)
def test_together_and_one_by_one_messages_are_read_the_same(messages: list[bytes | None], at_once: int) -> None:
    before, decoding._MESSAGES_AT_ONCE = decoding._MESSAGES_AT_ONCE, at_once
    try:
        assert rows(NESTED, *messages) == read_one_by_one(NESTED, *messages)
    finally:
        decoding._MESSAGES_AT_ONCE = before


@given(
    st.lists(st.sampled_from([device(), device(event_id="e"), device(app="微"), device(bytes=1.0), b"{"]), max_size=9)
)
def test_without_msgspec_the_result_is_the_same(messages: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patched:
        with_msgspec = rows(DEVICES.fields, *messages)
        patched.setattr(structs, "AVAILABLE", False)
        assert rows(DEVICES.fields, *messages) == with_msgspec


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(DEVICE),
        json.dumps(DEVICE, indent=2),
        json.dumps(dict(reversed(DEVICE.items()))),
        json.dumps({**DEVICE, "model": {"name": "X", "versions": [1.5, None, "9" * 5_000]}}),
        json.dumps(DEVICE).replace('"app"', '"\\u0061pp"'),
        json.dumps(DEVICE).replace("{", '{"app":"MAPS",', 1),
    ],
    ids=["spaces", "indented", "other order", "another member", "escaped name", "a member twice"],
)
def test_the_reference_reader_is_not_asked_about_well_formed_messages(
    written: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "read_single", lambda *_: pytest.fail("read one by one"))
    (row,) = rows(DEVICES.fields, written.encode())
    assert row == {**DEVICE, "event_id": None, "reason": None}


def test_lists_and_optional_fields() -> None:
    values = [[50, None], [], None]
    found = rows(AGREEMENTS.fields, *(agreement_document(thresholds=value, anchorDay=3) for value in values))
    assert [row["thresholds"] for row in found] == values
    assert [row["anchorDay"] for row in found] == [3, 3, 3]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ('"199.99"', "199.99"),
        ("199.99", "199.99"),
        ("0.1", "0.1"),
        ("-7", "-7"),
        ("123456789012345.123456", "123456789012345.123456"),
        ('"-123456789012345.000001"', "-123456789012345.000001"),
        ("0.30000000000000004", None),
    ],
)
def test_decimals_are_exact(written: str, expected: str | None) -> None:
    (row,) = rows((Field("amount", Decimal()),), f'{{"amount":{written}}}'.encode())
    if expected is None:
        assert row == {"amount": None, "reason": "amount over 6 decimals"}
    else:
        assert (row["reason"], row["amount"]) == (None, Exact(expected))


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ('"1e3"', "amount is not a decimal number"),
        ("1e3", "amount is not a decimal number"),
        ('"+1"', "amount is not a decimal number"),
        ('""', "amount is not a decimal number"),
        ("true", "amount is not a decimal number"),
        ("1234567890123456", "amount over 15 digits"),
        ("9" * 6_000, "amount over 15 digits"),
        ("null", "missing amount"),
    ],
)
def test_what_is_no_decimal_is_refused(written: str, reason: str) -> None:
    (row,) = rows((Field("amount", Decimal()),), f'{{"amount":{written}}}'.encode())
    assert row == {"amount": None, "reason": reason}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1600545287123", 1600545287123.0),
        ("0.1", 0.1),
        ("1e3", 1000.0),
        ("-0.0", 0.0),
        ("9007199254740993", 9007199254740992.0),
        ("9" * 300, float("9" * 300)),
        ("1e309", "n out of range"),
        ("9" * 309, "n out of range"),
        ('"1"', "n is not a number"),
        ("true", "n is not a number"),
        ("[]", "n is not a number"),
        ("null", "missing n"),
    ],
)
def test_a_number_is_the_nearest_double(written: str, expected: float | str) -> None:
    (row,) = rows((Field("n", Number()),), f'{{"n":{written}}}'.encode())
    of_faults = {"n": None, "reason": expected}
    assert row == (of_faults if isinstance(expected, str) else {"n": expected, "reason": None})
    (row,) = rows((Field("n", Number(others_are_null=True), required=False),), f'{{"n":{written}}}'.encode())
    assert row == {"n": None if isinstance(expected, str) else expected, "reason": None}
    (row,) = rows((Field("n", Number(others_are_null=True)),), f'{{"n":{written}}}'.encode())
    assert row == ({"n": None, "reason": "missing n"} if isinstance(expected, str) else {"n": expected, "reason": None})


def test_where_an_empty_text_stands_for_a_missing_one_only_a_required_field_refuses_it() -> None:
    optional, required = (Field("did", Text(empty_is_null=True), required=needed) for needed in (False, True))
    assert rows((optional,), b'{"did":""}', b'{"did":"d"}') == [
        {"did": None, "reason": None},
        {"did": "d", "reason": None},
    ]
    assert rows((required,), b'{"did":""}') == [{"did": None, "reason": "missing did"}]


@pytest.mark.parametrize(("levels", "reason"), [(499, None), (500, "not JSON"), (100_000, "not JSON")])
def test_a_message_is_nested_at_most_500_deep(levels: int, reason: str | None) -> None:
    (row,) = rows(NESTED, _deep(levels))
    assert row["reason"] == reason
    (in_text,) = rows(NESTED, json.dumps({**_GOOD, "note": "[{" * 2_000}).encode())
    assert in_text["reason"] is None


def test_a_number_of_any_length_in_another_member_is_no_fault() -> None:
    (row,) = rows((Field("n", Whole()),), b'{"n":1,"other":' + b"9" * 10_000 + b"}")
    assert row == {"n": 1, "reason": None}


def test_large_messages_are_looked_at_many_at_a_time_and_only_those_too_deep_are_doubtful(seed: int) -> None:
    random = Random(seed)
    written = [_deep(random.randrange(900)) + b" " * random.randrange(1_500) for _ in range(250)]
    written[17:17] = [b"", b"[" * 2_000, b'"' + b"{" * 2_000 + b'"']
    values = pa.array([None, *written, None], pa.binary())
    for some in (values, values[1:], values[101:202]):
        expected = [
            value is not None and (len(value) <= 1_000 or value.count(b"[") + value.count(b"{") <= 500)
            for value in some.to_pylist()
        ]
        assert checking.undoubted(some).tolist() == expected
