"""Seeded traffic: reproducible, shaped, and honest about what it sent."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from bytemeter.errors import BytemeterError
from simulator.devices import DeviceSimulation
from simulator.traffic import Message, Rhythm, Traffic, start_time

TRAFFIC = Traffic(start=1_763_700_000, records=5_000, rate=50, late=0.05, duplicates=0.05, invalid=0.05)


def messages(traffic: Traffic, piece: int = 1_000) -> list[Message]:
    return [message for _, piece_ in DeviceSimulation(traffic).pieces(piece) for message in piece_]


def test_same_seed_and_start_same_records() -> None:
    assert messages(TRAFFIC) == messages(TRAFFIC)


@pytest.mark.parametrize("changed", [{"seed": 8}, {"start": 1_763_700_001.0}])
def test_another_seed_or_start_other_records(changed: dict[str, float]) -> None:
    ids = {m["value"] for m in messages(TRAFFIC)} & {m["value"] for m in messages(replace(TRAFFIC, **changed))}  # type: ignore[arg-type]
    assert ids <= {None}


def test_what_it_says_it_sent_is_what_it_sent() -> None:
    traffic = DeviceSimulation(TRAFFIC)
    made = [message for _, piece in traffic.pieces(1_000) for message in piece]
    valid = {}
    for message in made:
        try:
            fields = json.loads(message["value"] or b"")
            good = {type(fields["bytes"]), type(fields["timestamp"])} == {int} and fields["bytes"] >= 0
            good &= type(fields["app"]) is str and len(fields["app"]) < 100 and "\0" not in fields["app"]
            good &= TRAFFIC.start - 86_400 < fields["timestamp"] < TRAFFIC.start + 86_400
        except (ValueError, KeyError):
            continue
        if good:
            valid[fields["event_id"]] = fields["bytes"]
    assert traffic.sent.records == len(made) == 5_000
    assert traffic.sent.valid == len(valid)
    assert traffic.sent.valid_bytes == sum(valid.values())
    shares = [traffic.sent.late, traffic.sent.duplicates, traffic.sent.invalid]
    assert all(150 < share < 350 for share in shares), shares


def test_few_devices_and_apps_carry_most_traffic() -> None:
    made = [
        json.loads(m["value"] or b"") for m in messages(replace(TRAFFIC, late=0, duplicates=0, invalid=0, skew=1.2))
    ]
    for field in ("id", "app"):
        counts = sorted(Counter(fields[field] for fields in made).values(), reverse=True)
        assert sum(counts[:3]) > len(made) / 2, field


def test_more_records_by_day_than_by_night() -> None:
    night, day = Rhythm(4 * 3600, rate=100), Rhythm(16 * 3600, rate=100)
    assert night.take(1_000)[-1] - 4 * 3600 == pytest.approx(999 / 40)
    assert day.take(1_000)[-1] - 16 * 3600 == pytest.approx(999 / 160)


def test_a_late_record_has_an_event_time_before_its_turn() -> None:
    late = messages(replace(TRAFFIC, records=100, late=1, duplicates=0, invalid=0))
    times = [json.loads(m["value"] or b"")["timestamp"] for m in late]
    assert all(TRAFFIC.start - 3 * 3600 <= time <= TRAFFIC.start for time in times)


def test_impossible_traffic_is_refused() -> None:
    with pytest.raises(BytemeterError, match="expected 0 to 1, in sum at most 1"):
        Traffic(start=0, late=0.6, invalid=0.6)
    with pytest.raises(BytemeterError, match="duplicates need event ids"):
        Traffic(start=0, duplicates=0.1, event_ids=False)


def test_the_start_is_told_or_lies_so_that_the_records_end_now() -> None:
    assert start_time("2026-11-21T10:00:00", records=None, rate=1) == 1_795_255_200
    assert start_time("2026-11-21T10:00:00+01:00", records=None, rate=1) == 1_795_251_600
    now = start_time(None, records=None, rate=1)
    assert 86_000 < now - start_time(None, records=86_400, rate=1) < 87_000
    with pytest.raises(BytemeterError, match="'tomorrow' is not a time"):
        start_time("tomorrow", records=None, rate=1)
