"""Reads and validates zoned instants that are written as text, e.g. ``2020-01-02T00:00:00+01:00[Europe/Warsaw]``."""

from __future__ import annotations

import datetime as dt
import re
import zoneinfo
from collections.abc import Callable
from functools import cache
from typing import Any

import pyarrow as pa

# The bracketed zone and the seconds may be missing; the offset may not, since it alone determines the instant. Offsets
# go up to 18 hours, as in java.time.
_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
    r"(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9](?::[0-5][0-9])?|[+-]18:00(?::00)?)(?:\[[A-Za-z0-9_+/-]+\])?"
)
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def read(texts: pa.ChunkedArray) -> pa.Array:
    """The texts as microseconds since 1970, rounded down; null where the text is no instant.

    The format is ISO 8601 with RFC 9557's zone in brackets. The offset determines the instant, whatever the zone.
    """
    return _of_each(texts, _instant, pa.int64())


def with_unknown_zone(texts: pa.ChunkedArray) -> pa.Array:
    """Whether each text has an unknown time zone in brackets."""
    return _of_each(texts, _zone_unknown, pa.bool_())


def are_no_zones(texts: pa.ChunkedArray) -> pa.Array:
    """Whether each text is not the name of an IANA time zone."""
    return _of_each(texts, lambda text: text not in zones(), pa.bool_())


@cache
def zones() -> frozenset[str]:
    """The names of the IANA time zones, as zoneinfo has them."""
    return frozenset(name for name in zoneinfo.available_timezones() if name[0].isupper() and name != "Factory")


def _of_each(texts: pa.ChunkedArray, function: Callable[[str], Any], type_: pa.DataType) -> pa.Array:
    """The function's value of each text, computed once per distinct text: many records have the same second."""
    coded = texts.combine_chunks().dictionary_encode()
    return pa.array(map(function, coded.dictionary.to_pylist()), type_).take(coded.indices)


def _instant(text: str) -> int | None:
    if not _SHAPE.fullmatch(text):
        return None
    try:
        at = dt.datetime.fromisoformat(text.partition("[")[0])
        return (at - _EPOCH) // _MICROSECOND
    except (ValueError, OverflowError):
        return None


def _zone_unknown(text: str) -> bool:
    _, bracket, zone = text.partition("[")
    return bool(bracket) and zone.removesuffix("]") not in zones()
