"""The feeds: one module each, all of them in ``FEEDS``."""

from __future__ import annotations

from bytemeter.errors import BytemeterError
from bytemeter.feeds.devices import DEVICES
from bytemeter.feeds.feed import Dimension, Feed, Rule

FEEDS = {feed.name: feed for feed in (DEVICES,)}

__all__ = ["DEVICES", "FEEDS", "Dimension", "Feed", "Rule", "feed_named"]


def feed_named(name: str) -> Feed:
    """The feed of that name.

    Raises:
        BytemeterError: there is none; the line names those that are.
    """
    if name not in FEEDS:
        raise BytemeterError(f"no feed {name!r}; the feeds are {', '.join(FEEDS)}")
    return FEEDS[name]
