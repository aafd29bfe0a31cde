"""Joins an event with rows of the reference tables: ``telemetry.unique`` becomes ``telemetry.denorm``.

``prepared`` runs on executors, which have no database: it decides whether an event goes on, and which rows it needs.
``joined`` runs on the driver, with these rows. What it makes is a function of the event and the rows: no clock, no
random. An event's own members keep their bytes.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bytemeter.telemetry import topics
from bytemeter.telemetry.members import (
    Members,
    UnreadableError,
    json_of,
    members_of,
    raw,
    text_of,
    value_of,
    with_object,
)

DEVICE, USER, CONTENT, DIALCODE = "device", "user", "content", "dialcode"
REFERENCES = (DEVICE, USER, CONTENT, DIALCODE)
DROPPED, SKIPPED = "over three months old", "not enriched"

_MONTHS, _MONTHS_OF_YEAR = 3, 12
_DAY_MS = 86_400_000
_DIALCODES = ("dialcode", "qr")
_WORKFLOW_SUMMARY = "ME_WORKFLOW_SUMMARY"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Besides the value a message has a key and an envelope.
_MOST_BYTES = topics.MESSAGE_BYTES[topics.DENORM] - 4_096
_LOCATION, _LOCATION_FLAG = "derivedlocationdata", "loc_denorm"
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


# By reference and id: the row, a JSON object.
Rows = Mapping[tuple[str, str], bytes]


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
    sent_ms, ets = _sent_ms(members, received_us), value_of(members.get("ets"))
    if isinstance(ets, int | float) and not isinstance(ets, bool):
        if ets < _months_before(sent_ms):
            return Left(DROPPED)
        end_of_day = sent_ms - sent_ms % _DAY_MS + _DAY_MS - 1
        if ets > end_of_day:
            members["ets"] = raw(end_of_day)
    return json_of(_lookups(members)) + b"\n" + json_of(members)


def event_of(value: bytes) -> bytes:
    """The event itself, of what ``prepared`` has returned or of an event as it is."""
    return value.partition(b"\n")[2] if value.startswith(b"[") else value


def lookups(prepared_value: bytes) -> list[Lookup]:
    """The lookups of what ``prepared`` has returned."""
    head, _, _ = prepared_value.partition(b"\n")
    return [Lookup(*lookup) for lookup in value_of(head)]


def joined(prepared_value: bytes, rows: Rows) -> bytes:
    """The event with the rows that it needs, a flag for each lookup, and where it happened as far as these rows tell.

    An event that would exceed a message's size gets no rows, and flags that say so.
    """
    _, _, event = prepared_value.partition(b"\n")
    needed = lookups(prepared_value)
    enriched = _joined(members_of(event), needed, rows)
    return enriched if len(enriched) <= _MOST_BYTES else _joined(members_of(event), needed, {})


def renamed(row: bytes) -> bytes:
    """A row of a table other than that of devices: the names of its fields in lower case, without ``_``."""
    return json_of({name.lower().replace("_", ""): value for name, value in members_of(row).items()})


def _joined(members: Members, needed: Sequence[Lookup], rows: Rows) -> bytes:
    flags: dict[str, bool] = {}
    found: dict[str, Members] = {}
    for lookup in needed:
        row = rows.get((lookup.reference, lookup.id))
        flags[lookup.flag] = row is not None
        if row is not None:
            written = row if lookup.reference == DEVICE else renamed(row)
            found[lookup.member] = members_of(written)
            members[lookup.member] = raw(found[lookup.member])
    if needed:
        location = _location(found.get("userdata", {}), found.get("devicedata", {}))
        flags[_LOCATION_FLAG] = location is not None
        if location is not None:
            members[_LOCATION] = raw(location)
        with_object(members, "flags", flags)
    return json_of(members)


def _lookups(members: Members) -> list[Lookup]:
    context, actor, object_ = (_object(members.get(name)) for name in ("context", "actor", "object"))
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
    if kind in _DIALCODES:
        return [Lookup(DIALCODE, id_.upper(), "dialcodedata", "dialcode_denorm")]
    # A user as an object is no content.
    if kind == USER:
        return []
    rollup = _object(object_.get("rollup"))
    above = (("l1", "collectiondata", "coll_denorm"), ("l2", "l2data", "l2_denorm"))
    parents = [(text_of(rollup.get(level)), member, flag) for level, member, flag in above]
    return [
        Lookup(CONTENT, id_, "contentdata", "content_denorm"),
        *(Lookup(CONTENT, parent, member, flag) for parent, member, flag in parents if parent and parent != id_),
    ]


def _location(user: Members, device: Members) -> dict[str, Any] | None:
    """State and district: of the user's profile, else as the user has told the device, else by the device's address."""
    declared = _object(device.get("userdeclared"))
    for source, place, district in (
        ("user-profile", user, "district"),
        ("user-declared", declared, "district"),
        ("ip-resolved", device, "districtcustom"),
    ):
        if state := text_of(place.get("state")):
            return {"state": state, "district": text_of(place.get(district)), "from": source}
    return None


def _sent_ms(members: Members, received_us: int) -> int:
    syncts = value_of(members.get("syncts"))
    is_number = isinstance(syncts, int | float) and not isinstance(syncts, bool)
    return int(syncts) if is_number and 0 <= syncts < _YEAR_2200_MS else received_us // 1_000


def _months_before(at_ms: int) -> int:
    """Three calendar months (UTC) before an instant, both in milliseconds since 1970; at the latest the month's end."""
    at = _EPOCH + dt.timedelta(milliseconds=at_ms)
    months = at.year * _MONTHS_OF_YEAR + at.month - 1 - _MONTHS
    year, month = months // _MONTHS_OF_YEAR, months % _MONTHS_OF_YEAR + 1
    before = at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
    return (before - _EPOCH) // dt.timedelta(milliseconds=1)


_YEAR_2200_MS = 7_258_118_400_000


def _object(written: Any) -> Members:
    try:
        return members_of(written or b"")
    except UnreadableError:
        return {}
