"""Records of devices: reproducible by their seed, shared as the traffic says, and counted correctly."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from simulator.devices import DeviceSimulation
from simulator.traffic import Message, Traffic
from tests.seeds import SEED

TRAFFIC = Traffic(start=1_763_700_000, seed=SEED, records=5_000, rate=50, late=0.05, duplicates=0.05, invalid=0.05)


def messages(traffic: Traffic) -> list[Message]:
    """All messages of the traffic."""
    return [message for _, piece in DeviceSimulation(traffic).pieces(1_000) for message in piece]


def test_the_same_seed_and_start_make_the_same_records() -> None:
    assert messages(TRAFFIC) == messages(TRAFFIC)


@pytest.mark.parametrize("changed", [{"seed": SEED + 1}, {"start": 1_763_700_001.0}])
def test_another_seed_or_start_makes_other_records(changed: dict[str, float]) -> None:
    ids = {m["value"] for m in messages(TRAFFIC)} & {m["value"] for m in messages(replace(TRAFFIC, **changed))}  # type: ignore[arg-type]
    assert ids <= {None}


def test_the_counts_are_those_of_the_messages() -> None:
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


def test_a_late_record_has_an_event_time_before_it_is_due() -> None:
    late = messages(replace(TRAFFIC, records=100, late=1, duplicates=0, invalid=0))
    times = [json.loads(m["value"] or b"")["timestamp"] for m in late]
    assert all(TRAFFIC.start - 3 * 3600 <= time <= TRAFFIC.start for time in times)
