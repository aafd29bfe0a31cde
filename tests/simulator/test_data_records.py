"""Data records: their times in the zones of their subscribers, late or not, and their counts."""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from simulator.data_records import DataRecordSimulation
from simulator.subscribers import ZONES, zones_of
from simulator.traffic import Traffic
from tests.seeds import SEED

TRAFFIC = Traffic(start=1_763_700_000, seed=SEED, records=500, rate=0.1, subscribers=100)


@pytest.mark.parametrize("late", [0.0, 1.0])
def test_a_record_has_its_time_in_the_zone_of_its_subscriber(late: float) -> None:
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
