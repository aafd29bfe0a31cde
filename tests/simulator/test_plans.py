"""Agreements and records of data plans: the same for a seed, and told as their contracts have it."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.subscribers import ZONES, zones_of
from simulator.traffic import Message, Traffic

START = 1_763_700_000
SERVICE_START = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)
TRAFFIC = Traffic(start=START, records=500, rate=0.1, subscribers=100)


def agreements(late: float = 0.0, invalid: float = 0.0, seed: int = 7) -> list[Message]:
    simulated = AgreementSimulation(1_000, seed, SERVICE_START, START, late, invalid=invalid)
    return [message for _, piece in simulated.pieces(300) for message in piece]


def test_same_seed_same_agreements_whenever_they_come() -> None:
    assert agreements(late=0.2, invalid=0.1) == agreements(late=0.2, invalid=0.1)
    assert {m["value"] for m in agreements(late=0.2)} == {m["value"] for m in agreements()}
    assert {m["value"] for m in agreements(seed=8)} != {m["value"] for m in agreements()}


def test_an_agreement_is_compact_json_that_tells_only_what_is_not_the_default() -> None:
    values = [m["value"] or b"" for m in agreements()]
    told = [json.loads(value) for value in values]
    assert [json.dumps(fields, separators=(",", ":")).encode() for fields in told] == values
    assert {day for fields in told if (day := fields.get("anchorDay"))} == {15, 31}
    assert {len(fields.get("thresholds", ())) for fields in told} == {0, 1, 3, 4}
    for fields in told:
        text, zone = fields["serviceStartAt"].rstrip("]").split("[")
        assert zone == fields["billingPeriodTimeZone"]
        assert text == SERVICE_START.astimezone(ZoneInfo(zone)).isoformat()


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_a_record_tells_its_time_in_the_zone_of_its_subscriber(late: float) -> None:
    simulated = DataRecordSimulation(replace(TRAFFIC, late=late))
    zones, total = zones_of(TRAFFIC.subscribers, TRAFFIC.seed), 0
    for due, (message,) in simulated.pieces(1):
        fields = json.loads(message["value"] or b"")
        text, zone = fields["recordedAt"].rstrip("]").split("[")
        recorded = dt.datetime.fromisoformat(text)
        assert zone == ZONES[zones[int(fields["msisdn"]) - 48_500_000_000]]
        assert recorded.isoformat() == recorded.astimezone(ZoneInfo(zone)).isoformat()
        behind = int(due) - recorded.timestamp()
        assert 600 <= behind <= 3 * 3_600 if late else behind == 0
        total += fields["recordedBytes"]
    assert simulated.sent.valid_bytes == total
    assert simulated.sent.late == late * TRAFFIC.records
