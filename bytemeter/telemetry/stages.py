"""What becomes of a valid or an invalid event of ``telemetry.raw``, by its eid.

Whatever is made is a function of the event alone: made again, it is byte for byte the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple
from uuid import UUID, uuid5

from bytemeter.telemetry import topics
from bytemeter.telemetry.members import (
    Members,
    json_of,
    members_of,
    number_of,
    object_alone,
    object_of,
    raw,
    text_of,
)
from bytemeter.telemetry.outgoing import DIALCODES, Outgoing, as_key, failed, flagged, key_of
from bytemeter.telemetry.sharing import SHARE, list_of
from bytemeter.telemetry.splicing import spliced

SOURCE = "PipelinePreprocessor"
DUPLICATE_FLAG = "pp_duplicate"
_ITEM_IDS = UUID("6a0d7f1c-52a5-5c6e-8f43-0c9f5b1f7d22")
_VALIDATED = {"pp_validation_processed": True}
_UNIQUE = {"pp_validation_processed": True, DUPLICATE_FLAG: False}

_TO_PRIMARY = (topics.UNIQUE, topics.PRIMARY)
_TO_SECONDARY = (topics.UNIQUE, topics.SECONDARY)
_TOPICS = {
    "LOG": (topics.LOG,),
    "ERROR": (topics.ERROR,),
    "INTERACT": _TO_SECONDARY,
    "IMPRESSION": _TO_SECONDARY,
    "SHARE_ITEM": _TO_SECONDARY,
    "AUDIT": (*_TO_PRIMARY, topics.AUDIT),
}
_DIALCODES = tuple(f'"{kind}"'.encode() for kind in DIALCODES)


def topics_of(eid: str) -> tuple[str, ...]:
    """Where a valid event that is no duplicate goes."""
    return _TOPICS.get(eid, _TO_PRIMARY)


class Known(NamedTuple):
    """Members of a valid event that were read before: texts, None where they are missing or empty.

    Attributes:
        device: context.did.
        actor: actor.id.
        content: object.id.
    """

    device: str | None
    actor: str | None
    content: str | None


def sent_of(value: bytes, eid: str, known: Known | None = None) -> Sequence[Outgoing]:
    """What is sent of a valid event that is no duplicate: itself, and SHARE_ITEMs of a SHARE."""
    if known and known.device and (whole := _with_flags_alone(value, eid, known)):
        return (Outgoing(topics_of(eid), as_key(known.device), whole),)
    return tuple(_edited(value, eid))


def _with_flags_alone(value: bytes, eid: str, known: Known) -> bytes | None:
    """An event of which nothing but its flags changes; None of all others."""
    _, actor, content = known
    if eid == SHARE or (actor is not None and actor.startswith("f:")):
        return None
    if content is not None and content != content.upper() and _may_be_dialcode(object_alone(value)):
        return None
    return spliced(value, _flags_of(eid))


def _flags_of(eid: str) -> Mapping[str, bool]:
    return _VALIDATED if eid == "LOG" else _UNIQUE


def _edited(value: bytes, eid: str) -> Iterator[Outgoing]:
    members = members_of(value)
    flagged(members, _flags_of(eid))
    _without_prefix(members)
    _upper_case(members)
    key = key_of(members)
    yield Outgoing(topics_of(eid), key, json_of(members))
    if eid == SHARE:
        for item in _share_items(members):
            yield Outgoing(topics_of("SHARE_ITEM"), key, json_of(item))


def failed_event(value: bytes | None, reason: str, violations: Sequence[object] = ()) -> Outgoing:
    """An invalid event, as it came, with all that it violates: each with its JSON pointer."""
    errors = list(violations) or [{"pointer": "", "violates": reason}]
    return failed(value, reason, {"pp_validation_processed": False}, {"validation_error": errors, "src": SOURCE})


def _without_prefix(members: Members) -> None:
    """Remove a leading ``f:`` of the actor's id."""
    actor = bytes(members.get("actor", b""))
    if b'"f:' not in actor and b"\\" not in actor:
        return
    inner = object_of(actor)
    id_ = text_of(inner.get("id"))
    if id_ is not None and id_.startswith("f:"):
        inner["id"] = raw(id_.removeprefix("f:"))
        members["actor"] = raw(inner)


def _may_be_dialcode(written: bytes) -> bool:
    lower = written.lower()
    # Or written with escapes.
    return any(kind in lower for kind in _DIALCODES) or b"\\" in written


def _upper_case(members: Members) -> None:
    """Write the id of an object that is a dialcode in upper case."""
    written = bytes(members.get("object", b""))
    if not _may_be_dialcode(written):
        return
    inner = object_of(written)
    kind, id_ = text_of(inner.get("type")), text_of(inner.get("id"))
    if kind is not None and kind.lower() in DIALCODES and id_ is not None:
        inner["id"] = raw(id_.upper())
        members["object"] = raw(inner)


def _share_items(share: Members) -> Iterator[Members]:
    """The SHARE_ITEMs of a SHARE: what was shared is their object, in the rollup of the SHARE's own object."""
    edata, parent = object_of(share.get("edata")), text_of(object_of(share.get("object")).get("id"))
    kept = {name: value for name, value in share.items() if name not in ("eid", "mid", "edata", "object")}
    for place, item in enumerate(list_of(edata, "items")):
        members = object_of(item)
        shared = {name: members[name] for name in ("id", "type", "ver") if name in members}
        for number, written in enumerate(list_of(members, "params")):
            param, name = object_of(written), f"{text_of(share.get('mid'))}/{place}/{number}"
            yield {
                "eid": raw("SHARE_ITEM"),
                "mid": raw(str(uuid5(_ITEM_IDS, name))),
                **kept,
                "object": raw({**shared, **({"rollup": {"l1": parent}} if parent else {})}),
                "edata": raw({**param, **_of_share(edata), "type": _kind(param)}),
            }


def _of_share(edata: Members) -> Members:
    return {"dir": edata["dir"]} if "dir" in edata else {}


def _kind(param: Members) -> str:
    """Whether the item was shared for the first time (a download) or passed on (an import)."""
    return "download" if number_of(param.get("transfers")) == 0 else "import"
