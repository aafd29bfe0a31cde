"""All topics of the product, each with the largest message that it takes."""

from __future__ import annotations

from collections.abc import Mapping

from bytemeter.feeds import FEEDS
from bytemeter.plans.events import TOPIC as THRESHOLD_EVENTS
from bytemeter.telemetry.topics import MESSAGE_BYTES


def topics() -> Mapping[str, int | None]:
    """By topic, without the topic prefix, the most bytes of a message; None for what Kafka takes by default."""
    of_feeds = dict.fromkeys((*(feed.topic for feed in FEEDS.values()), THRESHOLD_EVENTS))
    return {**of_feeds, **MESSAGE_BYTES}
