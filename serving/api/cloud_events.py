"""Threshold events as CAMARA has them: CloudEvents of 50, 75 and 90 percent of a plan, and of its end."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from bytemeter.plans.events import EXCEEDED, REACHED
from serving.api.events import Event

_PREFIX = "org.camaraproject.device-data-volume-subscriptions.v0."
_PERCENTS = (50, 75, 90)
# There are no subscriptions but the streams themselves.
_SUBSCRIPTION = "threshold-events"


@lru_cache(maxsize=2_000)
def cloud_message(event: Event) -> bytes:
    """The event as a server-sent event with a CloudEvent, encoded once for all; empty if CAMARA has no type for it."""
    type_ = _type(event)
    if type_ is None:
        return b""
    cloud_event = {
        "specversion": "1.0",
        "id": event.event_id,
        "source": "/v1/threshold-events",
        "type": type_,
        "time": event.emitted_at,
        "datacontenttype": "application/json",
        "data": {"device": {"phoneNumber": f"+{event.msisdn}"}, "subscriptionId": _SUBSCRIPTION},
    }
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.position, type_.encode(), msgspec.json.encode(cloud_event))


def _type(event: Event) -> str | None:
    if event.type == EXCEEDED:
        return f"{_PREFIX}data-exceeded"
    percent = msgspec.json.decode(event.payload).get("thresholdPercent") if event.type == REACHED else None
    return f"{_PREFIX}data-{percent}-percent" if percent in _PERCENTS else None
