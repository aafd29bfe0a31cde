"""What the collector counts and measures, for Prometheus."""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

from ingest.collector.results import Result

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one collector."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._events = Counter(
            "bytemeter_collector_events", "Events by what became of them", ["feed", "status"], registry=self._registry
        )
        self._requests = Counter(
            "bytemeter_collector_requests", "Requests that may send events", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "bytemeter_collector_request_seconds",
            "Seconds until such a request was answered",
            buckets=_SECONDS,
            registry=self._registry,
        )

    def show(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """Have a gauge of a value that is read when somebody asks."""
        Gauge(f"bytemeter_collector_{name}", help_, registry=self._registry).set_function(value)

    def count(self, feed: str, results: Iterable[Result]) -> None:
        """Count the events of a request."""
        for status, count in Counts(result.status for result in results).items():
            self.add(feed, status, count)

    def add(self, feed: str, status: str, events: int) -> None:
        """Count events of which the same became."""
        self._events.labels(feed, status).inc(events)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def response(self) -> Response:
        """All of them, as Prometheus reads them."""
        return Response(generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
