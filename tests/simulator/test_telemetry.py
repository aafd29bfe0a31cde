"""Telemetry: sessions that make sense, in batches by device; reproducible, and the counts are those of the events."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.feeds import TELEMETRY
from bytemeter.feeds.telemetry import EIDS, UNKNOWN_EID
from bytemeter.parsing import parse
from simulator.telemetry import Shares, TelemetrySimulation
from simulator.traffic import Message, Traffic
from tests.messages import messages
from tests.seeds import SEED
from tests.telemetry_events import encoded

TRAFFIC = Traffic(start=1_763_700_000, seed=SEED, records=6_000, subscribers=30)
DISTURBED = replace(TRAFFIC, duplicates=0.05, invalid=0.05)
SHARES = Shares(unknown=0.03, too_large=0.0005, repeated=0.1)


def sent(simulated: TelemetrySimulation) -> list[Message]:
    return [message for _, piece in simulated.pieces(1_000) for message in piece]


def batches(made: list[Message]) -> list[dict[str, Any]]:
    return [json.loads(message["value"] or b"") for message in made]


def test_the_same_seed_and_start_make_the_same_batches() -> None:
    assert sent(TelemetrySimulation(DISTURBED, SHARES)) == sent(TelemetrySimulation(DISTURBED, SHARES))
    assert sent(TelemetrySimulation(DISTURBED)) != sent(TelemetrySimulation(replace(DISTURBED, seed=SEED + 1)))


def test_sessions_make_sense() -> None:
    by_session: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for batch in batches(sent(TelemetrySimulation(TRAFFIC))):
        for event in batch["events"]:
            assert event["context"]["did"] == batch["did"] == batch["params"]["did"]
            by_session[event["context"]["sid"]].append(event)
    kinds: Counter[str] = Counter()
    over = 0
    for events in by_session.values():
        kinds.update(event["eid"] for event in events)
        times = [event["ets"] for event in events]
        assert times == sorted(times)
        assert [event["eid"] for event in events[:2]] == ["START", "IMPRESSION"][: len(events)]
        assert events[0]["edata"]["type"] == "app"
        opened: list[Any] = []
        for event in events:
            what = (event["edata"].get("type"), event.get("object", {}).get("id"))
            if event["eid"] == "START":
                opened.append((what, event["ets"]))
            elif event["eid"] == "END":
                started, at_ms = opened.pop()
                assert (started, event["edata"]["duration"]) == (what, (event["ets"] - at_ms) / 1_000)
        if events[-1]["eid"] == "SUMMARY":
            over += 1
            summary = events[-1]["edata"]
            assert not opened
            assert summary["pageviews"] == sum(event["eid"] == "IMPRESSION" for event in events)
            assert summary["timespent"] == (times[-1] - times[0]) / 1_000
    assert over > len(by_session) / 2
    assert set(kinds) == set(EIDS)


def test_the_counts_are_those_of_the_events() -> None:
    simulated = TelemetrySimulation(DISTURBED, SHARES)
    made = sent(simulated)
    ids = [batch["params"]["msgid"] for batch in batches(made)]
    assert (len(made), len(made) - len(set(ids))) == (simulated.sent.batches, simulated.sent.repeated)
    once = {batch["params"]["msgid"]: batch["events"] for batch in batches(made)}
    values = [encoded(event) for events in once.values() for event in events]
    raw = [value for value in values if len(value) <= 2**20]
    rows = parse(TELEMETRY, messages(*raw), now_us=int(TRAFFIC.start + 86_400) * 10**6).to_pylist()
    valid = [row for row in rows if row["reason"] is None]
    distinct = {row["mid"] or row["offset"]: row for row in valid}.values()
    eids = Counter(row["eid"] for row in distinct)
    shared = sum(len(json.loads(row["value"])["edata"]["items"]) for row in distinct if row["eid"] == "SHARE")
    counts = simulated.sent
    assert (counts.records, counts.too_large, counts.raw) == (6_000, len(values) - len(raw), len(raw))
    assert counts.unknown == sum(row["reason"] == UNKNOWN_EID for row in rows) > 0
    assert counts.invalid == len(rows) - len(valid) - counts.unknown > 0
    assert counts.duplicates == len(valid) - len(distinct) > 0
    assert (counts.logs, counts.errors, counts.shared) == (eids["LOG"], eids["ERROR"], shared)
    assert counts.unique == len(distinct) - eids["LOG"] - eids["ERROR"] + shared
    assert f"{counts.raw} raw, {counts.unique} unique" in simulated.shown()


def test_messages_stay_below_what_their_topic_takes() -> None:
    traffic = replace(TRAFFIC, records=40, subscribers=1)
    made = sent(TelemetrySimulation(traffic, Shares(too_large=0.9), batch=1_000))
    assert max(len(message["value"] or b"") for message in made) < 2 * 2**20
    assert sum(len(batch["events"]) for batch in batches(made)) == 40


def test_impossible_shares_are_refused() -> None:
    with pytest.raises(BytemeterError, match="expected at most 1 in sum"):
        TelemetrySimulation(replace(TRAFFIC, invalid=0.7), Shares(unknown=0.4))
    with pytest.raises(BytemeterError, match="expected 0 to 1"):
        Shares(repeated=1.5)


def test_pieces_stay_small_also_as_all_devices_send_what_they_have() -> None:
    many = replace(TRAFFIC, subscribers=2_000)
    pieces = [batches(piece) for _, piece in TelemetrySimulation(many, Shares(repeated=0)).pieces(500)]
    events = [sum(len(batch["events"]) for batch in piece) for piece in pieces]
    assert sum(events) == many.records
    # What devices had before, and a piece of new events.
    assert max(len(piece) for piece in pieces) <= 500
    assert max(events[-10:]) <= 500
