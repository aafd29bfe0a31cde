"""What a collector takes at most, so that neither a client nor an outage of Kafka makes its memory grow."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bytemeter.settings import Settings
from bytemeter.web.problems import Problem, try_later


@dataclass(frozen=True)
class Limits:
    """Limits of one collector.

    Attributes:
        body_bytes: of one body, as sent and inflated.
        events: in flight, of all requests.
        timeout_s: seconds for a head, for a body, and for Kafka's acknowledgement.
        journal_bytes: of the journal on disk.
    """

    body_bytes: int = 8 * 2**20
    events: int = 100_000
    timeout_s: float = 10.0
    journal_bytes: int = 2**30

    @staticmethod
    def of(settings: Settings) -> Limits:
        """The limits in force."""
        return Limits(
            settings.collector_body_bytes,
            settings.collector_events,
            settings.collector_timeout_s,
            settings.collector_journal_bytes,
        )


class InFlight:
    """What is in flight now.

    Attributes:
        most: events that may be in flight.
        events: events of requests that were not answered yet.
    """

    def __init__(self, limits: Limits) -> None:
        self.most = limits.events
        self.events = 0

    @contextmanager
    def taking(self, events: int) -> Iterator[None]:
        """Have so many events in flight.

        Raises:
            Problem: 413 if they are more than there may ever be, 429 if others have to be answered first.
        """
        if events > self.most:
            raise Problem(413, f"the body has {events} events; send at most {self.most} in one request")
        if self.events + events > self.most:
            raise try_later(429, f"{self.events} events are in flight, of at most {self.most}; repeat the request", 1)
        self.events += events
        try:
            yield
        finally:
            self.events -= events
