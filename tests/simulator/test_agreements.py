"""Agreements: reproducible by their seed, and written as their contract says."""

from __future__ import annotations

import datetime as dt
import json
from zoneinfo import ZoneInfo

from simulator.agreements import AgreementSimulation
from simulator.traffic import Message
from tests.seeds import SEED

START = 1_763_700_000
SERVICE_START = dt.datetime(2025, 7, 1, tzinfo=dt.UTC)


def agreements(late: float = 0.0, invalid: float = 0.0, seed: int = SEED) -> list[Message]:
    """The messages of 1,000 subscribers."""
    simulated = AgreementSimulation(1_000, seed, SERVICE_START, START, late, invalid=invalid)
    return [message for _, piece in simulated.pieces(300) for message in piece]


def test_the_same_seed_makes_the_same_agreements_late_or_not() -> None:
    assert agreements(late=0.2, invalid=0.1) == agreements(late=0.2, invalid=0.1)
    assert {m["value"] for m in agreements(late=0.2)} == {m["value"] for m in agreements()}
    assert {m["value"] for m in agreements(seed=SEED + 1)} != {m["value"] for m in agreements()}


def test_an_agreement_is_compact_json_without_default_options() -> None:
    values = [m["value"] or b"" for m in agreements()]
    documents = [json.loads(value) for value in values]
    assert [json.dumps(fields, separators=(",", ":")).encode() for fields in documents] == values
    assert {day for fields in documents if (day := fields.get("anchorDay"))} == {15, 31}
    assert {len(fields.get("thresholds", ())) for fields in documents} == {0, 1, 3, 4}
    for fields in documents:
        text, zone = fields["serviceStartAt"].rstrip("]").split("[")
        assert zone == fields["billingPeriodTimeZone"]
        assert text == SERVICE_START.astimezone(ZoneInfo(zone)).isoformat()
