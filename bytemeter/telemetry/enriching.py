"""Joins an event with rows of the reference tables: ``telemetry.unique`` becomes ``telemetry.denorm``.

``prepared`` runs on executors, which have no database: it decides whether an event goes on, and which rows it needs.
``joined`` runs on the driver, with these rows. What it makes is a function of the event and the rows: no clock, no
random. An event's own members keep their bytes.
"""

from __future__ import annotations

import calendar
import datetime as dt
from collections.abc import Iterator, Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple

from bytemeter.telemetry import topics
from bytemeter.telemetry.facts import OWN, Facts, facts_at_once, facts_of
from bytemeter.telemetry.members import Members, json_of, members_of, object_of, raw, require_msgspec, text_of
from bytemeter.telemetry.outgoing import DIALCODES
from bytemeter.telemetry.splicing import MOST_CACHED, cut

DEVICE, USER, CONTENT, DIALCODE = "device", "user", "content", "dialcode"
REFERENCES = (DEVICE, USER, CONTENT, DIALCODE)
DROPPED, SKIPPED = "over three months old", "not enriched"

_MONTHS, _MONTHS_OF_YEAR = 3, 12
_DAY_MS = 86_400_000
# From 1 February, in a year of 365 days, to 1 May.
_LEAST_MONTHS_MS = 89 * _DAY_MS
_YEAR_2200_MS = 7_258_118_400_000
_WORKFLOW_SUMMARY = "ME_WORKFLOW_SUMMARY"
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# Besides the value a message has a key and an envelope.
_MOST_BYTES = topics.MESSAGE_BYTES[topics.DENORM] - 4_096
_LOCATION_FLAG = "loc_denorm"
_NOTHING, _TRUTH = b"{}", (b"false", b"true")


class Want(NamedTuple):
    """What an event wants of a reference table.

    Attributes:
        reference: one of ``REFERENCES``.
        member: of the event that will hold the row: its name and a colon, as JSON.
        flag: in the event's flags: whether there was such a row.
    """

    reference: str
    member: bytes
    flag: str


_COLLECTION, _L2 = "collection", "l2"
WANTS = {
    DEVICE: Want(DEVICE, b'"devicedata":', "device_denorm"),
    USER: Want(USER, b'"userdata":', "user_denorm"),
    CONTENT: Want(CONTENT, b'"contentdata":', "content_denorm"),
    _COLLECTION: Want(CONTENT, b'"collectiondata":', "coll_denorm"),
    _L2: Want(CONTENT, b'"l2data":', "l2_denorm"),
    DIALCODE: Want(DIALCODE, b'"dialcodedata":', "dialcode_denorm"),
}
_FLAGS = frozenset({*(want.flag for want in WANTS.values()), _LOCATION_FLAG})


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


class Prepared(NamedTuple):
    """An event with the lookups that it needs.

    Attributes:
        lookups: pairs of one of ``WANTS`` and an id.
        flags: the event's own flags, without the flags that enriching sets, as a compact JSON object.
        event: all but its flags, as a JSON object.
    """

    lookups: list[tuple[str, str]]
    flags: bytes
    event: bytes

    @classmethod
    def of(cls, value: bytes) -> Prepared:
        """What ``prepared`` has returned."""
        lookups, flags, event = value.split(b"\n", 2)
        return cls(_lookups_decoder()(lookups), flags, event)

    @property
    def keys(self) -> Iterator[tuple[str, str]]:
        """The references and ids of the rows that it needs."""
        return ((WANTS[want].reference, id_) for want, id_ in self.lookups)


def prepared(value: bytes, received_us: int) -> bytes | Left:
    """An event with the lookups that it needs, for ``Prepared.of``; or why it does not go on.

    An event of more than three months before it was sent is dropped; INTERRUPT, and summaries other than
    ME_WORKFLOW_SUMMARY, are skipped. An ``ets`` after the day on which the event was sent becomes the end of that day.

    Args:
        value: a valid event.
        received_us: when Kafka received it, microseconds since 1970. An event that has ``syncts`` was sent then.

    Raises:
        UnreadableError: it is no JSON object.
    """
    facts, members = facts_at_once(value), None
    if facts is None:
        members = _without_own(members_of(value))
        facts = facts_of(members)
    eid = facts.eid or ""
    if eid == "INTERRUPT" or ("SUMMARY" in eid and eid != _WORKFLOW_SUMMARY):
        return Left(SKIPPED)
    sent_ms, ets = _sent_ms(facts, received_us), facts.ets
    if ets is not None and ets < sent_ms - _LEAST_MONTHS_MS and ets < _months_before(sent_ms):
        return Left(DROPPED)
    end_of_day = sent_ms - sent_ms % _DAY_MS + _DAY_MS - 1
    if ets is not None and ets > end_of_day:
        members = members_of(value) if members is None else members
        members["ets"] = raw(end_of_day)
    parts = cut(value, _FLAGS) if members is None else None
    event, flags = parts or _cut(members_of(value) if members is None else members)
    # Lookups and flags on a line each: the driver need not read the event again. A value keeps its white space.
    return b"\n".join([json_of(_lookups(facts)), flags.replace(b"\n", b" "), event])


def _without_own(members: Members) -> Members:
    return {name: value for name, value in members.items() if name not in OWN}


def _cut(members: Members) -> tuple[bytes, bytes]:
    """See ``bytemeter.telemetry.splicing.cut``."""
    flags = {name: value for name, value in object_of(members.pop("flags", None)).items() if name not in _FLAGS}
    return json_of(members), json_of(flags)


def event_of(value: bytes) -> bytes:
    """The event itself, of what ``prepared`` has returned or of an event as it is."""
    if not value.startswith(b"["):
        return value
    _, flags, event = value.split(b"\n", 2)
    return _with_flags(event, flags)


def row_of(reference: str, data: bytes) -> Row:
    """A row as events have it: the names of its fields in lower case without ``_``; fields of devices keep their names.

    Args:
        data: a JSON object.
    """
    members = members_of(data)
    if reference == DEVICE:
        return Row(data, _declared(members))
    renamed = {_renamed(name): value for name, value in members.items()}
    location = _place(renamed, "district", "user-profile") if reference == USER else None
    return Row(data if list(renamed) == list(members) else json_of(renamed), location)


@lru_cache(10_000)
def _renamed(name: str) -> str:
    return name.lower().replace("_", "")


def joined(prepared: Prepared, rows: Rows) -> bytes:
    """The event with the rows that it needs, a flag for each lookup, and where it happened as far as these rows tell.

    An event that would exceed a message's size gets no rows, and flags that say so.
    """
    enriched = _joined(prepared, rows)
    return enriched if len(enriched) <= _MOST_BYTES else _joined(prepared, {})


def _joined(prepared: Prepared, rows: Rows) -> bytes:
    lookups, flags, event = prepared
    if not lookups:
        return _with_flags(event, flags)
    added, found, location = [], [], None
    for name, id_ in lookups:
        want = WANTS[name]
        row = rows.get((want.reference, id_))
        found.append((want.flag, row is not None))
        if row is not None:
            added.append(want.member + row.written)
            # A user's own profile comes before what is known of the device.
            location = row.location if name == USER and row.location is not None else location or row.location
    if location is not None:
        added.append(b'"derivedlocationdata":' + location)
    added.append(_flagged(flags, (*found, (_LOCATION_FLAG, location is not None))))
    return _with(event, added)


def _with_flags(event: bytes, flags: bytes) -> bytes:
    return event if flags == _NOTHING else _with(event, [b'"flags":' + flags])


def _flagged(flags: bytes, own: tuple[tuple[str, bool], ...]) -> bytes:
    """The member with the event's flags. Most events have the same ones."""
    return _cached_flags(flags, own) if len(flags) <= MOST_CACHED else _made_flags(flags, own)


def _made_flags(flags: bytes, own: tuple[tuple[str, bool], ...]) -> bytes:
    return b'"flags":' + _with(flags, [b'"%b":%b' % (name.encode(), _TRUTH[is_set]) for name, is_set in own])


_cached_flags = lru_cache(10_000)(_made_flags)


def _with(written: bytes, added: list[bytes]) -> bytes:
    """A JSON object with further members, which it does not have yet."""
    return written[:-1] + (b"" if written == _NOTHING else b",") + b",".join(added) + b"}"


def _lookups(facts: Facts) -> list[tuple[str, str]]:
    found = [(DEVICE, facts.device)] if facts.device else []
    actor, object_ = facts.actor, facts.object
    if actor and facts.actor_type == "user" and actor.lower() != "anonymous":
        found.append((USER, actor))
    if object_ is None:
        return found
    if facts.object_type in DIALCODES:
        return [*found, (DIALCODE, object_.upper())]
    # A user as an object is no content.
    if facts.object_type == USER:
        return found
    found.append((CONTENT, object_))
    for name, parent in ((_COLLECTION, facts.l1), (_L2, facts.l2)):
        if parent and parent != object_:
            found.append((name, parent))
    return found


@cache
def _lookups_decoder() -> Any:
    return require_msgspec().json.Decoder(list[tuple[str, str]]).decode


def _declared(device: Members) -> bytes | None:
    """Where a device is: as its user has told it, else by its address."""
    told = _place(object_of(device.get("userdeclared")), "district", "user-declared")
    return told or _place(device, "districtcustom", "ip-resolved")


def _place(members: Members, district: str, source: str) -> bytes | None:
    state = text_of(members.get("state"))
    return _location(state, text_of(members.get(district)), source) if state else None


@lru_cache(10_000)
def _location(state: str, district: str | None, source: str) -> bytes:
    return json_of({"state": state, "district": district, "from": source})


def _sent_ms(facts: Facts, received_us: int) -> int:
    syncts = facts.syncts
    return int(syncts) if syncts is not None and 0 <= syncts < _YEAR_2200_MS else received_us // 1_000


def _months_before(at_ms: int) -> int:
    """Three calendar months (UTC) before an instant, both in milliseconds since 1970; at the latest the month's end."""
    at = _EPOCH + dt.timedelta(milliseconds=at_ms)
    months = at.year * _MONTHS_OF_YEAR + at.month - 1 - _MONTHS
    year, month = months // _MONTHS_OF_YEAR, months % _MONTHS_OF_YEAR + 1
    before = at.replace(year=year, month=month, day=min(at.day, calendar.monthrange(year, month)[1]))
    return (before - _EPOCH) // dt.timedelta(milliseconds=1)
