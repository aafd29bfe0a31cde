"""What the collector counts and measures, for Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from bytemeter.web.metrics import Metrics
from ingest.collector.results import Result


class CollectorMetrics(Metrics):
    """The metrics of one collector."""

    def __init__(self) -> None:
        super().__init__("bytemeter_collector", "Requests that may send events")
        self._events = self.counter("events", "Events by what became of them", ["feed", "status"])

    def count(self, feed: str, results: Iterable[Result]) -> None:
        """Count the events of a request."""
        for status, count in Counter(result.status for result in results).items():
            self.add(feed, status, count)

    def add(self, feed: str, status: str, events: int) -> None:
        """Count events of which the same became."""
        self._events.labels(feed, status).inc(events)
