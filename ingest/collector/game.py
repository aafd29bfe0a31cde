"""The routes of a game's server: each answers its text and sends one event of its type to ``game-events``.

An event has the request's headers, without those that carry secrets. All of them go to one partition: whoever reads the
topic sees them in the order of the calls.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from ingest.collector.splitting import Events

PARTITION = 0


@dataclass(frozen=True)
class Action:
    """What a player does.

    Attributes:
        path: the route.
        event_type: the type of its event.
        text: the route's answer.
    """

    path: str
    event_type: str
    text: str


ACTIONS = (
    Action("/", "default", "\nThis is the default response!\n"),
    Action("/purchase_a_sword", "purchase_sword", "\nSword Purchased!\n"),
    Action("/purchase_a_knife", "purchase_knife", "\nKnife Purchased!\n"),
    Action("/join_guild", "join_guild", "\nGuild Joined!\n"),
)


def secret_words(setting: str) -> tuple[str, ...]:
    """The words of the setting ``collector_secret_headers``."""
    return tuple(word for word in (part.strip().lower() for part in setting.split(",")) if word)


def event_of(action: Action, headers: Iterable[tuple[bytes, bytes]], *, at_s: int, secret: Sequence[str]) -> Events:
    """The event of a call.

    Args:
        headers: of the request, names in lower case.
        at_s: when it was made, in seconds since 1970.
        secret: headers with one of these words in their names are left out.
    """
    event: dict[str, str | int] = {
        "event_id": str(uuid.uuid4()),
        "event_type": action.event_type,
        "timestamp": at_s,
    }
    ours = set(event)
    for name, value in ((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers):
        member = name.title()
        # No header takes the place of ours.
        if member not in ours and not any(word in name for word in secret):
            event[member] = f"{event[member]}, {value}" if member in event else value
    return Events([msgspec.json.encode(event)])
