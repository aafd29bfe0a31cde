"""Billable events: ten customers and five types, reproducible, and counted to the cent."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.parsing import parse
from simulator.billable_events import CUSTOMERS, TYPES, BillableEventSimulation
from simulator.traffic import Message, Traffic
from tests.messages import messages
from tests.seeds import SEED

TRAFFIC = Traffic(
    start=1_763_700_000, seed=SEED, records=3_000, subscribers=10, late=0.05, duplicates=0.05, invalid=0.05
)


def sent(simulated: BillableEventSimulation) -> list[Message]:
    return [message for _, piece in simulated.pieces(1_000) for message in piece]


def test_the_same_seed_and_start_make_the_same_events() -> None:
    assert sent(BillableEventSimulation(TRAFFIC)) == sent(BillableEventSimulation(TRAFFIC))


def test_ten_customers_have_events_of_five_types_and_some_credits() -> None:
    made = [
        json.loads(m["value"] or b"")
        for m in sent(BillableEventSimulation(replace(TRAFFIC, late=0, duplicates=0, invalid=0)))
    ]
    assert {event["customer"] for event in made} == set(CUSTOMERS)
    assert {event["type"] for event in made} == set(TYPES)
    assert 0 < sum(event["amount"].startswith("-") for event in made) < len(made) / 10


def test_more_customers_than_names_get_a_number() -> None:
    made = sent(BillableEventSimulation(replace(TRAFFIC, subscribers=50, skew=0)))
    assert b"Customer 50" in {message["key"] for message in made}


def test_the_counts_are_those_of_the_events() -> None:
    simulated = BillableEventSimulation(TRAFFIC)
    made = sent(simulated)
    parsed = parse(BILLABLE_EVENTS, messages(*(m["value"] for m in made)), now_us=int(TRAFFIC.start + 86_400) * 10**6)
    valid = {row["event_id"]: row["amount"] for row in parsed.to_pylist() if row["reason"] is None}
    assert simulated.sent.valid == len(valid)
    assert simulated.shown() == f"{sum(valid.values(), Decimal(0)):.2f} EUR"
