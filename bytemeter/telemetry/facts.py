"""What decides how an event is enriched: some of its members, read at once where their types are the usual ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from operator import attrgetter
from typing import Any, NamedTuple

from bytemeter.telemetry.members import Members, number_of, object_of, require_msgspec, text_of

# Members that enriching writes: what an event has there itself is removed.
OWN = (
    *("devicedata", "userdata", "contentdata", "collectiondata", "l2data", "dialcodedata"),
    "derivedlocationdata",
)


class Facts(NamedTuple):
    """Members of an event: texts are None where they are missing, empty or no texts.

    Attributes:
        ets, syncts: milliseconds since 1970; None of all that is no number.
        device: context.did.
        actor, actor_type, object, object_type: id and type; types in lower case.
        l1, l2: of object.rollup.
    """

    eid: str | None
    ets: float | None
    syncts: float | None
    device: str | None
    actor: str | None
    actor_type: str
    object: str | None
    object_type: str
    l1: str | None
    l2: str | None


def facts_of(members: Members) -> Facts:
    """The facts of an event, whatever its members are."""
    context, actor, object_ = (object_of(members.get(name)) for name in ("context", "actor", "object"))
    rollup = object_of(object_.get("rollup"))
    return Facts(
        text_of(members.get("eid")),
        number_of(members.get("ets")),
        number_of(members.get("syncts")),
        text_of(context.get("did")),
        text_of(actor.get("id")),
        (text_of(actor.get("type")) or "").lower(),
        text_of(object_.get("id")),
        (text_of(object_.get("type")) or "").lower(),
        text_of(rollup.get("l1")),
        text_of(rollup.get("l2")),
    )


def facts_at_once(value: bytes) -> Facts | None:
    """The facts of an event as ``facts_of`` finds them, several times as fast.

    Returns:
        None of an event with members of other types, or with members of ``OWN``.
    """
    try:
        event = _decoder()(value)
    # No JSON, other types, or not UTF-8; nested too deep.
    except (ValueError, RecursionError):
        return None
    if any(_own_of(event)):
        return None
    actor, object_ = event.actor, event.object
    rollup = object_.rollup
    return Facts(
        event.eid or None,
        event.ets,
        event.syncts,
        event.context.did or None,
        actor.id or None,
        actor.type.lower(),
        object_.id or None,
        object_.type.lower(),
        rollup.l1 or None,
        rollup.l2 or None,
    )


# Names of members by names of a Struct's attributes.
_RENAMED = {f"own_{name}": name for name in OWN}
_own_of = attrgetter(*_RENAMED)


@cache
def _decoder() -> Callable[[bytes], Any]:
    msgspec = require_msgspec()
    number = int | float | None

    def struct(name: str, fields: Mapping[str, tuple[Any, Any]]) -> Any:
        with_defaults = [(field, type_, default) for field, (type_, default) in fields.items()]
        return msgspec.defstruct(name, with_defaults, rename=_RENAMED, frozen=True, gc=False)

    text = (str, "")
    context, actor = struct("Context", {"did": text}), struct("Actor", {"id": text, "type": text})
    rollup = struct("Rollup", {"l1": text, "l2": text})
    object_ = struct("Object", {"id": text, "type": text, "rollup": (rollup, rollup())})
    fields = {
        "eid": text,
        **dict.fromkeys(("ets", "syncts"), (number, None)),
        "context": (context, context()),
        "actor": (actor, actor()),
        "object": (object_, object_()),
        **dict.fromkeys(_RENAMED, (msgspec.Raw, msgspec.Raw(b""))),
    }
    decode: Callable[[bytes], Any] = msgspec.json.Decoder(struct("Event", fields)).decode
    return decode
