"""What every server counts and measures, for Prometheus."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.responses import Response

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The metrics of one server; their names begin with ``prefix``."""

    def __init__(self, prefix: str, requests: str) -> None:
        """Count requests.

        Args:
            requests: which requests are counted, e.g. ``Requests that may send events``.
        """
        self.registry, self._prefix = CollectorRegistry(), prefix
        self._requests = Counter(f"{prefix}_requests", requests, ["status"], registry=self.registry)
        self._seconds = Histogram(
            f"{prefix}_request_seconds",
            "Seconds until such a request was answered",
            buckets=_SECONDS,
            registry=self.registry,
        )

    def counter(self, name: str, help_: str, labels: list[str]) -> Counter:
        """A further counter."""
        return Counter(f"{self._prefix}_{name}", help_, labels, registry=self.registry)

    def show(self, name: str, help_: str, value: Callable[[], float]) -> None:
        """Have a gauge of a value that is read when somebody asks."""
        Gauge(f"{self._prefix}_{name}", help_, registry=self.registry).set_function(value)

    def answered(self, status: int, seconds: float) -> None:
        """Count a request."""
        self._requests.labels(str(status)).inc()
        self._seconds.observe(seconds)

    def response(self) -> Response:
        """All of them, as Prometheus reads them."""
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
