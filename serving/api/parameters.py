"""The parameters of a request: each is read by its name, or refused with name, value and what is expected."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
import re
from collections.abc import Collection
from zoneinfo import ZoneInfo

import msgspec
from starlette.datastructures import QueryParams

from bytemeter.web.problems import Problem, wrong_parameter
from bytemeter.zones import zones

_MOST_CHARACTERS = 1_024
FIRST, LAST = dt.datetime(2000, 1, 1, tzinfo=dt.UTC), dt.datetime(2200, 1, 1, tzinfo=dt.UTC)
_INSTANT = "a date or an instant of 2000 to 2199 in ISO 8601, such as 2026-11-21T10:00:00Z"
_MONTH = re.compile(r"(2[01][0-9]{2})-(0[1-9]|1[0-2])")
# A place to go on from: the start of a window in microseconds since 1970, and an id of it.
Place = tuple[int, str]
_PLACE = msgspec.json.Decoder(Place)


class Parameters:
    """The query of a request.

    Raises:
        Problem: 400 if it has an unknown parameter, or one twice.
    """

    def __init__(self, query: QueryParams, known: Collection[str]) -> None:
        expected = ", ".join(sorted(known)) or "no parameters"
        for name in query:
            if name not in known:
                raise wrong_parameter(400, "the query's parameter", name, expected)
            if len(query.getlist(name)) > 1:
                raise wrong_parameter(400, name, ", ".join(query.getlist(name)), "one value")
        self._query = query

    def text(self, name: str) -> str | None:
        """A text; None where it is absent."""
        value = self._query.get(name)
        if value is not None and (not 0 < len(value) <= _MOST_CHARACTERS or not is_text(value)):
            raise wrong_parameter(400, name, value, f"1 to {_MOST_CHARACTERS} characters, none of them NUL")
        return value

    def choice(self, name: str, choices: Collection[str], default: str | None = None) -> str:
        """One of some texts."""
        value, expected = self._query.get(name, default), f"one of {', '.join(choices)}"
        if value is None:
            raise Problem(400, f"{name} is missing; expected {expected}", name=name, expected=expected)
        if value not in choices:
            raise wrong_parameter(400, name, value, expected)
        return value

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """A number within bounds."""
        value = self._query.get(name)
        if value is None:
            return default
        # Other digits than ASCII's would be numbers to Python, too.
        digits = value.isascii() and value.isdigit() and len(value) <= len(str(most))
        if not (digits and least <= int(value) <= most):
            raise wrong_parameter(400, name, value, f"a whole number from {least} to {most}")
        return int(value)

    def zone(self, name: str = "zone", default: str = "UTC") -> ZoneInfo:
        """A time zone."""
        value = self._query.get(name, default)
        if value not in zones():
            raise wrong_parameter(400, name, value, "the name of an IANA time zone, such as Europe/Warsaw")
        return ZoneInfo(value)

    def instant(self, name: str, zone: ZoneInfo) -> dt.datetime | None:
        """An instant in UTC; without an offset it is one of the zone's clock. None where it is absent."""
        value = self._query.get(name)
        if value is None:
            return None
        try:
            at = dt.datetime.fromisoformat(value)
            at = (at.replace(tzinfo=zone) if at.tzinfo is None else at).astimezone(dt.UTC)
        except (ValueError, OverflowError):
            raise wrong_parameter(400, name, value, _INSTANT) from None
        if not FIRST <= at <= LAST:
            raise wrong_parameter(400, name, value, _INSTANT)
        return at

    def month(self, name: str = "month") -> tuple[int, int] | None:
        """Year and month; None where it is absent."""
        value = self._query.get(name)
        if value is None:
            return None
        found = _MONTH.fullmatch(value)
        if found is None:
            raise wrong_parameter(400, name, value, "a month of 2000 to 2199, such as 2026-11")
        return int(found[1]), int(found[2])

    def place(self, name: str = "cursor") -> Place | None:
        """Where the answer before has ended; None where it is absent."""
        value = self._query.get(name)
        if value is None:
            return None
        try:
            place: Place | None = _PLACE.decode(
                base64.b64decode(value.encode() + b"=" * (-len(value) % 4), b"-_", validate=True)
            )
        except (binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError):
            place = None
        if place is None or not 0 <= place[0] <= _us(LAST) or not is_text(place[1]):
            raise wrong_parameter(400, name, value, "what the answer before has as `next`")
        return place


def cursor(place: Place) -> str:
    """A place as a text for clients, who need not know what it means."""
    return base64.urlsafe_b64encode(msgspec.json.encode(place)).decode().rstrip("=")


def place_of(at: dt.datetime, id_: str) -> Place:
    """The place behind an id of the window that starts at an instant."""
    return _us(at), id_


def start_of(place: Place) -> dt.datetime:
    """The start of a place's window."""
    return dt.datetime.fromtimestamp(0, dt.UTC) + dt.timedelta(microseconds=place[0])


def is_text(value: str) -> bool:
    """Whether PostgreSQL takes it as a text."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _us(at: dt.datetime) -> int:
    return (at - dt.datetime.fromtimestamp(0, dt.UTC)) // dt.timedelta(microseconds=1)
