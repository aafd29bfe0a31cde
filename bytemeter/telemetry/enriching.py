"""Joins an event with rows of the reference tables: ``telemetry.unique`` becomes ``telemetry.denorm``.

``prepared`` runs on executors, which have no database: it decides whether an event goes on, and which rows it needs.
``joined`` runs on the driver, with these rows. What it makes is a function of the event and the rows: no clock, no
random. An event's own members keep their bytes.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bytemeter.telemetry import topics
from bytemeter.telemetry.members import (
    Members,
    json_of,
    members_of,
    number_of,
    object_of,
    raw,
    text_of,
    value_of,
)
from bytemeter.telemetry.outgoing import DIALCODES

DEVICE, USER, CONTENT, DIALCODE = "device", "user", "content", "dialcode"
REFERENCES = (DEVICE, USER, CONTENT, DIALCODE)
DROPPED, SKIPPED = "over three months old", "not enriched"

_MONTHS, _MONTHS_OF_YEAR = 3, 12
_DAY_MS = 86_400_000
_YEAR_2200_MS = 7_258_118_400_000
_WORKFLOW_SUMMARY = "ME_WORKFLOW_SUMMARY"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Besides the value a message has a key and an envelope.
_MOST_BYTES = topics.MESSAGE_BYTES[topics.DENORM] - 4_096
_LOCATION, _LOCATION_FLAG = "derivedlocationdata", "loc_denorm"
_NOTHING, _TRUTH = b"{}", (b"false", b"true")
_FLAGS = frozenset(
    {
        *("device_denorm", "user_denorm", "content_denorm", "coll_denorm", "l2_denorm", "dialcode_denorm"),
        _LOCATION_FLAG,
    }
)
_OWN = ("devicedata", "userdata", "contentdata", "collectiondata", "l2data", "dialcodedata", _LOCATION)


class Lookup(NamedTuple):
    """A row that an event needs.

    Attributes:
        reference: one of ``REFERENCES``.
        id: of the row.
        member: of the event that will hold the row.
        flag: in the event's flags: whether there was such a row.
    """

    reference: str
    id: str
    member: str
    flag: str


class Left(NamedTuple):
    """An event that does not go on.

    Attributes:
        reason: ``DROPPED`` or ``SKIPPED``.
    """

    reason: str


class Row(NamedTuple):
    """A row of a reference table, ready to be written into events.

    Attributes:
        written: a JSON object.
        location: where it says that something happens: state, district and how that is known, as a JSON object.
    """

    written: bytes
    location: bytes | None


# By reference and id.
Rows = Mapping[tuple[str, str], Row]


def prepared(value: bytes, received_us: int) -> bytes | Left:
    """An event with the lookups that it needs, for ``joined``; or why it does not go on.

    An event of more than three months before it was sent is dropped; INTERRUPT, and summaries other than
    ME_WORKFLOW_SUMMARY, are skipped. An ``ets`` after the day on which the event was sent becomes the end of that day.

    Args:
        value: a valid event.
        received_us: when Kafka received it, microseconds since 1970. An event that has ``syncts`` was sent then.

    Raises:
        UnreadableError: it is no JSON object.
    """
    members = members_of(value)
    for name in _OWN:
        # They are for us to say.
        members.pop(name, None)
    eid = text_of(members.get("eid")) or ""
    if eid == "INTERRUPT" or ("SUMMARY" in eid and eid != _WORKFLOW_SUMMARY):
        return Left(SKIPPED)
    sent_ms, ets = _sent_ms(members, received_us), number_of(members.get("ets"))
    if ets is not None:
        if ets < _months_before(sent_ms):
            return Left(DROPPED)
        end_of_day = sent_ms - sent_ms % _DAY_MS + _DAY_MS - 1
        if ets > end_of_day:
            members["ets"] = raw(end_of_day)
    needed = _lookups(members)
    flags = {name: value for name, value in object_of(members.pop("flags", None)).items() if name not in _FLAGS}
    # Lookups and flags on a line each: the driver need not read the event again. A value keeps its white space.
    return b"\n".join([json_of(needed), json_of(flags).replace(b"\n", b" "), json_of(members)])


def event_of(value: bytes) -> bytes:
    """The event itself, of what ``prepared`` has returned or of an event as it is."""
    if not value.startswith(b"["):
        return value
    _, flags, event = value.split(b"\n", 2)
    return event if flags == _NOTHING else _with(event, [(b"flags", flags)])


def lookups(prepared_value: bytes) -> list[Lookup]:
    """The lookups of what ``prepared`` has returned."""
    head, _, _ = prepared_value.partition(b"\n")
    return [Lookup(*lookup) for lookup in value_of(head)]


def row_of(reference: str, data: bytes) -> Row:
    """A row as events have it: the names of its fields in lower case without ``_``; fields of devices keep their names.

    Args:
        data: a JSON object.
    """
    members = members_of(data)
    if reference == DEVICE:
        return Row(data, _declared(members))
    renamed = {name.lower().replace("_", ""): value for name, value in members.items()}
    location = _place(renamed, "district", "user-profile") if reference == USER else None
    return Row(json_of(renamed), location)


def joined(prepared_value: bytes, rows: Rows) -> bytes:
    """The event with the rows that it needs, a flag for each lookup, and where it happened as far as these rows tell.

    An event that would exceed a message's size gets no rows, and flags that say so.
    """
    _, flags, event = prepared_value.split(b"\n", 2)
    needed = lookups(prepared_value)
    enriched = _joined(event, flags, needed, rows)
    return enriched if len(enriched) <= _MOST_BYTES else _joined(event, flags, needed, {})


def _joined(event: bytes, flags: bytes, needed: Sequence[Lookup], rows: Rows) -> bytes:
    if not needed:
        return event if flags == _NOTHING else _with(event, [(b"flags", flags)])
    found = [(lookup, rows.get((lookup.reference, lookup.id))) for lookup in needed]
    added = [(lookup.member.encode(), row.written) for lookup, row in found if row is not None]
    # A user's own profile comes before what is known of the device.
    known = {lookup.reference: row.location for lookup, row in found if row is not None and row.location is not None}
    location = known.get(USER) or known.get(DEVICE)
    if location is not None:
        added.append((_LOCATION.encode(), location))
    own = [(lookup.flag.encode(), _TRUTH[row is not None]) for lookup, row in found]
    own.append((_LOCATION_FLAG.encode(), _TRUTH[location is not None]))
    return _with(event, [*added, (b"flags", _with(flags, own))])


def _with(written: bytes, added: Sequence[tuple[bytes, bytes]]) -> bytes:
    """A compact JSON object with further members, which it does not have yet."""
    members = b",".join(b'"' + name + b'":' + value for name, value in added)
    return written[:-1] + (b"" if written == _NOTHING else b",") + members + b"}"


def _lookups(members: Members) -> list[Lookup]:
    context, actor, object_ = (object_of(members.get(name)) for name in ("context", "actor", "object"))
    found = []
    if did := text_of(context.get("did")):
        found.append(Lookup(DEVICE, did, "devicedata", "device_denorm"))
    user = text_of(actor.get("id"))
    if user and (text_of(actor.get("type")) or "").lower() == "user" and user.lower() != "anonymous":
        found.append(Lookup(USER, user, "userdata", "user_denorm"))
    return found + _lookups_of_object(object_)


def _lookups_of_object(object_: Members) -> list[Lookup]:
    id_, kind = text_of(object_.get("id")), (text_of(object_.get("type")) or "").lower()
    if id_ is None:
        return []
    if kind in DIALCODES:
        return [Lookup(DIALCODE, id_.upper(), "dialcodedata", "dialcode_denorm")]
    # A user as an object is no content.
    if kind == USER:
        return []
    rollup = object_of(object_.get("rollup"))
    above = (("l1", "collectiondata", "coll_denorm"), ("l2", "l2data", "l2_denorm"))
    parents = [(text_of(rollup.get(level)), member, flag) for level, member, flag in above]
    return [
        Lookup(CONTENT, id_, "contentdata", "content_denorm"),
        *(Lookup(CONTENT, parent, member, flag) for parent, member, flag in parents if parent and parent != id_),
    ]


def _declared(device: Members) -> bytes | None:
    """Where a device is: as its user has told it, else by its address."""
    told = _place(object_of(device.get("userdeclared")), "district", "user-declared")
    return told or _place(device, "districtcustom", "ip-resolved")


def _place(members: Members, district: str, source: str) -> bytes | None:
    state = text_of(members.get("state"))
    found = {"state": state, "district": text_of(members.get(district)), "from": source}
    return json_of(found) if state else None


def _sent_ms(members: Members, received_us: int) -> int:
    syncts = number_of(members.get("syncts"))
    return int(syncts) if syncts is not None and 0 <= syncts < _YEAR_2200_MS else received_us // 1_000


def _months_before(at_ms: int) -> int:
    """Three calendar months (UTC) before an instant, both in milliseconds since 1970; at the latest the month's end."""
    at = _EPOCH + dt.timedelta(milliseconds=at_ms)
    months = at.year * _MONTHS_OF_YEAR + at.month - 1 - _MONTHS
    year, month = months // _MONTHS_OF_YEAR, months % _MONTHS_OF_YEAR + 1
    before = at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
    return (before - _EPOCH) // dt.timedelta(milliseconds=1)
