"""From when each message of an agreement holds, and whom records of an MSISDN belong to, by all that is known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.plans.services import services
from bytemeter.plans.versions import FOREVER, Agreement, ownership, timeline

DAY = dt.timedelta(days=1)
ZERO = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def day(n: int) -> dt.datetime:
    return ZERO + n * DAY


def message(
    received: int,
    *,
    start: int = 10,
    end: int | None = None,
    effective: int | None = None,
    id_: str = "a",
    msisdn: str = "48",
    **changes: Any,
) -> Agreement:
    """A message that Kafka received on a day; service starts on day 10."""
    given_from = None if effective is None else day(effective)
    service_end_at = None if end is None else day(end)
    made: dict[str, Any] = {
        "id": id_, "msisdn": msisdn, "signed_at": ZERO, "service_start_at": day(start), "time_zone": "UTC",
        "limit": 1000, "given_from": given_from, "service_end_at": service_end_at, "received_at": day(received), **changes,
    }  # fmt: skip
    return Agreement(**made)


def held(*messages: Agreement) -> list[tuple[int, int | None]]:
    """From which day until which day each message holds, in the order in which they came; None is for ever."""
    return [
        ((one.effective_from - ZERO) // DAY, None if one.holds_until == FOREVER else (one.holds_until - ZERO) // DAY)
        for one in timeline(messages)
    ]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([message(5)], [(10, None)], id="a first message holds from the start of the service"),
        pytest.param([message(90)], [(10, None)], id="also when it comes months late"),
        pytest.param([message(5), message(20)], [(10, 20), (20, None)], id="a later one from when it came"),
        pytest.param([message(5), message(20, effective=12)], [(10, 12), (12, None)], id="or from when it says"),
        pytest.param(
            [message(5), message(20, effective=30), message(25)],
            [(10, 25), (30, None), (25, 30)],
            id="a change that was announced comes, whatever comes before it",
        ),
        pytest.param(
            [message(5), message(20), message(40, effective=15)],
            [(10, 15), (20, None), (15, 20)],
            id="a correction of the past holds until the next version",
        ),
        pytest.param(
            [message(5), message(20, effective=10)], [(10, 10), (10, None)], id="the first version was wrong all along"
        ),
        pytest.param([message(5), message(7, start=8)], [(10, 10), (8, None)], id="before the service has started"),
        pytest.param(
            [message(5), message(6, effective=30), message(7, start=8)],
            [(10, 10), (30, None), (8, 30)],
            id="what was announced stays",
        ),
    ],
)
def test_from_when_until_when_a_version_holds(
    messages: Sequence[Agreement], expected: list[tuple[int, int | None]]
) -> None:
    assert held(*messages) == expected


def test_the_later_message_wins_by_kafkas_clock_and_then_by_its_offset() -> None:
    first, later = message(20, partition=2, offset=1), message(20, partition=0, offset=7)
    for order in ([message(5), first, later], [later, message(5), first]):
        assert [(one.message, one.holds) for one in timeline(order)][1:] == [(first, False), (later, True)]


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        pytest.param([message(5, end=30)], [(10, 30)], id="until its end"),
        pytest.param([message(5), message(20, end=30)], [(10, 30)], id="an end that was announced"),
        pytest.param([message(5), message(20, end=15)], [(10, 20)], id="what was owned before the message came, stays"),
        pytest.param(
            [message(5), message(20, end=15, effective=15)],
            [(10, 15)],
            id="unless it corrects the past by effectiveFrom",
        ),
        pytest.param(
            [message(5, end=20), message(30)], [(10, 20), (30, None)], id="a later message without end resumes"
        ),
        pytest.param([message(5, end=20), message(15)], [(10, None)], id="or takes the end back"),
        pytest.param([message(5, end=10)], [], id="cancelled before it starts"),
    ],
)
def test_an_agreement_serves_until_its_end(
    messages: Sequence[Agreement], expected: list[tuple[int, int | None]]
) -> None:
    assert [
        ((one.served_from - ZERO) // DAY, None if one.served_until == FOREVER else (one.served_until - ZERO) // DAY)
        for one in services(timeline(messages))
    ] == expected


def test_a_changed_limit_changes_no_ownership() -> None:
    before = timeline([message(5)])
    assert ownership(timeline([message(5), message(20, limit=5)])) == ownership(before)
    assert ownership(timeline([message(5), message(20, msisdn="49")])) != ownership(before)
    assert ownership(timeline([message(5), message(20, end=30)])) != ownership(before)


MESSAGES = st.builds(
    lambda received, start, length, effective, id_, msisdn, signed: message(
        received, start=start, end=length and start + length, effective=effective, id_=id_, msisdn=msisdn,
        signed_at=day(signed), offset=received,
    ),
    st.integers(0, 40), st.integers(5, 30), st.none() | st.integers(0, 20), st.none() | st.integers(0, 50),
    st.sampled_from("abc"), st.sampled_from(["48", "49"]), st.integers(0, 3),
)  # fmt: skip


def owner(by_id: dict[str, list[Agreement]], msisdn: str, at: dt.datetime) -> str | None:
    """Who owns a record, asked at one instant: no spans, no boundaries."""
    serving = []
    for id_, messages in by_id.items():
        holding = [one for one in timeline(messages) if one.effective_from <= at < one.holds_until]
        for version in holding:
            told = version.message
            ended = told.service_end_at is not None and told.service_end_at <= at
            if told.msisdn == msisdn and told.service_start_at <= at and not ended:
                serving.append((version.message.service_start_at, version.message.signed_at, id_))
    return max(serving)[2] if serving else None


@given(st.lists(MESSAGES, max_size=8, unique_by=lambda one: (one.id, one.received_at)))
def test_services_say_at_each_instant_who_owns_a_record(messages: list[Agreement]) -> None:
    by_id = {id_: [one for one in messages if one.id == id_] for id_ in "abc"}
    versions = [one for of_id in by_id.values() for one in timeline(of_id)]
    for msisdn in ("48", "49"):
        found = services(one for one in versions if one.message.msisdn == msisdn)
        assert all(one.served_until <= following.served_from for one, following in pairwise(found))
        for n in range(60):
            at = day(n) + DAY / 2
            owners = [one.agreement_id for one in found if one.served_from <= at < one.served_until]
            assert owners == [id_ for id_ in [owner(by_id, msisdn, at)] if id_ is not None]


@given(st.lists(MESSAGES, max_size=8, unique_by=lambda one: one.received_at), st.randoms())
def test_at_most_one_version_holds_whatever_order_messages_are_read_in(messages: list[Agreement], shuffle: Any) -> None:
    messages = [Agreement(**{**vars(one), "id": "a"}) for one in messages]
    versions = timeline(messages)
    shuffled = list(messages)
    shuffle.shuffle(shuffled)
    assert timeline(shuffled) == versions
    spans = sorted((one.effective_from, one.holds_until) for one in versions if one.holds)
    assert all(until == following for (_, until), (following, _) in pairwise(spans))
