"""What is in flight stays within the limits of a collector, and is given back whatever ends a request."""

from __future__ import annotations

import pytest

from bytemeter.web.problems import Problem
from ingest.collector.limits import InFlight, Limits


@pytest.fixture
def in_flight() -> InFlight:
    return InFlight(Limits(events=100))


def status_of(in_flight: InFlight, events: int) -> int:
    """The status with which so many events are turned away."""
    with pytest.raises(Problem) as told, in_flight.taking(events):
        pass
    return told.value.status


def test_events_of_all_requests_are_within_the_limit(in_flight: InFlight) -> None:
    with in_flight.taking(60):
        assert status_of(in_flight, 41) == 429
        with in_flight.taking(40):
            assert status_of(in_flight, 1) == 429
    assert status_of(in_flight, 101) == 413


def test_a_request_that_fails_gives_its_events_back(in_flight: InFlight) -> None:
    with pytest.raises(ZeroDivisionError), in_flight.taking(100):
        raise ZeroDivisionError
    with in_flight.taking(100):
        assert in_flight.events == 100
