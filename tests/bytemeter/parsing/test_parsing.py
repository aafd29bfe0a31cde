"""Messages into records: which are accepted, which are refused and why."""

from __future__ import annotations

import datetime as dt
import json
import tracemalloc
from collections.abc import Sequence
from decimal import Decimal
from types import SimpleNamespace

from bytemeter.feeds import AGREEMENTS, BILLABLE_EVENTS, DATA_RECORDS, DEVICES, GAME_EVENTS, Feed
from bytemeter.parsing import parse
from simulator import faults
from tests.messages import AGREEMENT, DATA_RECORD, NOW_S, billable_event, data_record, device, messages
from tests.samples import (
    ACCEPTED_AGREEMENTS,
    ACCEPTED_BILLABLE_EVENTS,
    ACCEPTED_DEVICES,
    ACCEPTED_GAME_EVENTS,
    ACCEPTED_INSTANTS,
    PLANS_NOW_S,
    REFUSED_AGREEMENTS,
    REFUSED_BILLABLE_EVENTS,
    REFUSED_DEVICES,
    REFUSED_GAME_EVENTS,
    REFUSED_RECORDS,
)

_MICROSECOND = dt.timedelta(microseconds=1)


def parsed(feed: Feed, values: Sequence[bytes | None], *, now_s: int | None = NOW_S) -> list[SimpleNamespace]:
    """The records of messages that are judged at an instant."""
    rows = parse(feed, messages(*values), now_us=now_s and now_s * 1_000_000)
    assert rows.column("offset").to_pylist() == list(range(len(values)))
    return [SimpleNamespace(**row) for row in rows.to_pylist()]


def test_good_messages_are_accepted_with_their_fields() -> None:
    found = parsed(DEVICES, list(ACCEPTED_DEVICES.values()))
    for name, row in zip(ACCEPTED_DEVICES, found, strict=True):
        sent = json.loads(ACCEPTED_DEVICES[name])
        assert row.reason is None, f"{name}: {row.reason}"
        assert {key: getattr(row, key) for key in DEVICES.names} == {key: sent.get(key) for key in DEVICES.names}, name
        assert row.event_us == sent["timestamp"] * 1_000_000, name


def test_game_events_are_judged_by_type_and_time_and_not_by_their_headers() -> None:
    accepted = parsed(GAME_EVENTS, list(ACCEPTED_GAME_EVENTS.values()))
    assert dict(zip(ACCEPTED_GAME_EVENTS, (row.reason for row in accepted), strict=True)) == dict.fromkeys(
        ACCEPTED_GAME_EVENTS
    )
    assert {row.event_type for row in accepted} == {"purchase_sword"}
    refused = parsed(GAME_EVENTS, [value for value, _ in REFUSED_GAME_EVENTS.values()])
    reasons = dict(zip(REFUSED_GAME_EVENTS, (row.reason for row in refused), strict=True))
    assert reasons == {name: reason for name, (_, reason) in REFUSED_GAME_EVENTS.items()}


def test_amounts_of_billable_events_are_exact() -> None:
    found = parsed(BILLABLE_EVENTS, [value for value, _ in ACCEPTED_BILLABLE_EVENTS.values()])
    assert {name: row.reason for name, row in zip(ACCEPTED_BILLABLE_EVENTS, found, strict=True) if row.reason} == {}
    amounts = {name: row.amount for name, row in zip(ACCEPTED_BILLABLE_EVENTS, found, strict=True)}
    assert amounts == {name: Decimal(amount) for name, (_, amount) in ACCEPTED_BILLABLE_EVENTS.items()}


def test_bad_billable_events_are_refused_with_a_reason() -> None:
    found = parsed(BILLABLE_EVENTS, [value for value, _ in REFUSED_BILLABLE_EVENTS.values()])
    reasons = {name: row.reason for name, row in zip(REFUSED_BILLABLE_EVENTS, found, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_BILLABLE_EVENTS.items()}


def test_bad_messages_are_refused_with_a_reason_and_their_bytes() -> None:
    found = parsed(DEVICES, [value for value, _ in REFUSED_DEVICES.values()])
    reasons = {name: row.reason for name, row in zip(REFUSED_DEVICES, found, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_DEVICES.items()}
    assert [row.value for row in found] == [value for value, _ in REFUSED_DEVICES.values()]


def test_without_a_clock_the_future_is_not_refused() -> None:
    (row,) = parsed(DEVICES, [device(timestamp=NOW_S + 90_000)], now_s=None)
    assert row.reason is None


def test_each_fault_of_the_simulator_is_refused() -> None:
    found = parsed(DEVICES, [fault(device()) for fault in faults.DEVICES.values()])
    assert [name for name, row in zip(faults.DEVICES, found, strict=True) if row.reason is None] == []
    good = json.dumps(json.loads(billable_event()), separators=(",", ":")).encode()
    found = parsed(BILLABLE_EVENTS, [fault(good) for fault in faults.BILLABLE_EVENTS.values()])
    assert [name for name, row in zip(faults.BILLABLE_EVENTS, found, strict=True) if row.reason is None] == []


def test_instants_are_read_with_and_without_zone_and_seconds() -> None:
    rows = parsed(DATA_RECORDS, [data_record(recordedAt=instant) for instant in ACCEPTED_INSTANTS], now_s=PLANS_NOW_S)
    assert [row.reason for row in rows] == [None] * len(rows)
    epoch = dt.datetime(1970, 1, 1)  # noqa: DTZ001
    expected = [(dt.datetime.fromisoformat(at) - epoch) // _MICROSECOND for at in ACCEPTED_INSTANTS.values()]
    assert [row.event_us for row in rows] == expected


def test_bad_records_are_refused_with_a_reason() -> None:
    rows = parsed(DATA_RECORDS, [value for value, _ in REFUSED_RECORDS.values()], now_s=PLANS_NOW_S)
    reasons = {name: row.reason for name, row in zip(REFUSED_RECORDS, rows, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_RECORDS.items()}


def test_an_internal_id_may_be_missing() -> None:
    (row,) = parsed(DATA_RECORDS, [data_record(internalId=...)], now_s=PLANS_NOW_S)
    assert (row.reason, row.internalId) == (None, None)


def test_agreements_are_accepted_with_and_without_thresholds_and_anchor_day() -> None:
    rows = parsed(AGREEMENTS, list(ACCEPTED_AGREEMENTS.values()), now_s=None)
    for name, row in zip(ACCEPTED_AGREEMENTS, rows, strict=True):
        sent = json.loads(ACCEPTED_AGREEMENTS[name])
        assert row.reason is None, f"{name}: {row.reason}"
        assert {field: getattr(row, field) for field in AGREEMENTS.names} == {
            field: sent.get(field) for field in AGREEMENTS.names
        }, name


def test_bad_agreements_are_refused_with_a_reason() -> None:
    rows = parsed(AGREEMENTS, [value for value, _ in REFUSED_AGREEMENTS.values()], now_s=None)
    reasons = {name: row.reason for name, row in zip(REFUSED_AGREEMENTS, rows, strict=True)}
    assert reasons == {name: reason for name, (_, reason) in REFUSED_AGREEMENTS.items()}


def test_each_fault_of_the_simulator_is_refused_in_data_plans() -> None:
    for feed, found in ((DATA_RECORDS, faults.DATA_RECORDS), (AGREEMENTS, faults.AGREEMENTS)):
        good = json.dumps(DATA_RECORD if feed is DATA_RECORDS else AGREEMENT, separators=(",", ":")).encode()
        rows = parsed(feed, [fault(good) for fault in found.values()], now_s=PLANS_NOW_S)
        assert [name for name, row in zip(found, rows, strict=True) if row.reason is None] == []


def test_a_large_message_with_many_brackets_takes_little_memory_to_judge() -> None:
    """The depth is counted outside of strings: a matcher that could go back would remember each of their characters."""
    value = device().removesuffix(b"}") + b',"ignored":"' + b"[{\\n" * 500_000 + b'"}'
    tracemalloc.start()
    parsed = parse(DEVICES, messages(value))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert parsed.column("reason").to_pylist() == [None]
    assert peak < 10 * len(value)
