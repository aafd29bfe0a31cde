"""Event ids for events that have none: random ones, or derived from a request's Idempotency-Key."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import msgspec

from bytemeter.feeds import Feed
from bytemeter.web.problems import Problem

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://bytemeter.dev/idempotency-key")
_SPACE = b" \t\r\n"
IDEMPOTENCY_KEY = re.compile("^[!-~]{1,256}$")
_MOST_REMEMBERED = 50_000
_DIGEST_BYTES = 16


class UsedKeys:
    """The latest Idempotency-Keys that made event ids, each with a digest of its request's body."""

    def __init__(self, most: int = _MOST_REMEMBERED) -> None:
        """Remember so many keys at most."""
        self._most = most
        self._digests: dict[bytes, bytes] = {}

    def use(self, scope: str, body: bytes) -> None:
        """Use a key for a body.

        Args:
            scope: the key with its client and feed.

        Raises:
            Problem: 422 if it was used for another body: its events would be duplicates of the earlier ones.
        """
        key, digest = (blake2b(content, digest_size=_DIGEST_BYTES).digest() for content in (scope.encode(), body))
        if self._digests.setdefault(key, digest) != digest:
            name = "Idempotency-Key"
            detail = f"this {name} was used for another body; expected a new key for each new body"
            raise Problem(422, detail, name=name, expected="a new key for each new body")
        if len(self._digests) > self._most:
            del self._digests[next(iter(self._digests))]


def identified(
    feed: Feed, values: Sequence[bytes], given: Mapping[int, str], new_id: Callable[[int], str]
) -> list[bytes]:
    """The events, each with an event id, if the feed has event ids.

    Args:
        given: event ids by place that replace those of the events, such as those of CloudEvents.
        new_id: makes the event id of an event that has none, by its place.

    Returns:
        The events in their order. One that has an event id, or cannot be read, is as it was.
    """
    if feed.event_id is None:
        return list(values)
    path = next(field.path for field in feed.fields if field.name == feed.event_id)
    if len(path) > 1:
        # An id inside another object is the producer's to give.
        return list(values)
    lacks_id = _lacks_member(path[0])
    return [
        with_member(value, path[0], given[place] if place in given else new_id(place))
        if place in given or lacks_id(value)
        else value
        for place, value in enumerate(values)
    ]


def random_id(_: int) -> str:
    """An event id for the event at any place."""
    return str(uuid.uuid4())


def new_ids(feed: Feed, client: str, idempotency_key: str | None, body: bytes, used: UsedKeys) -> Callable[[int], str]:
    """What makes event ids: a request that is repeated with its Idempotency-Key gets the same ones, by place.

    It raises the problem of ``UsedKeys.use`` if it has to make one and the key was used for another body.
    """
    if idempotency_key is None:
        return random_id
    # JSON keeps the three texts apart.
    scope = msgspec.json.encode([client, feed.name, idempotency_key]).decode()
    use = cache(lambda: used.use(scope, body))

    def derived(place: int) -> str:
        use()
        return str(uuid.uuid5(_NAMESPACE, f"{scope}{place}"))

    return derived


@cache
def _lacks_member(member: str) -> Callable[[bytes], bool]:
    """Whether an event, which may be malformed, is an object without this member, or with null there."""
    head = msgspec.defstruct("Head", [("id", msgspec.Raw, msgspec.Raw(b"null"))], rename={"id": member}, gc=False)
    decode = msgspec.json.Decoder(head).decode

    def lacks(value: bytes) -> bool:
        try:
            found: Any = decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        return bytes(found.id) == b"null"

    return lacks


def with_member(value: bytes, member: str, text: str) -> bytes:
    """The object with a member at its end, where it counts even if there is an earlier one of that name."""
    body = value.rstrip(_SPACE)
    if not body.endswith(b"}"):
        return value
    body = body[:-1].rstrip(_SPACE)
    comma = b"" if body.endswith(b"{") else b","
    return b"%s%s%s:%s}" % (body, comma, msgspec.json.encode(member), msgspec.json.encode(text))
