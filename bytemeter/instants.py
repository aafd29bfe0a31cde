"""Reads and validates zoned instants that are written as text, e.g. ``2020-01-02T00:00:00+01:00[Europe/Warsaw]``."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.zones import zones

# The bracketed zone and the seconds may be missing; the offset may not, since it alone determines the instant. Offsets
# go up to 18 hours, as in java.time.
_SHAPE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.][0-9]{1,9})?)?"
    r"(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9](?::[0-5][0-9])?|[+-]18:00(?::00)?)(?:\[[A-Za-z0-9_+/-]+\])?"
)
# Of these pyarrow reads many at once, as Python does: with seconds, in years and on days that surely exist.
_USUAL = (
    r"^(?:19|20|21)[0-9]{2}-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1[0-9]|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|"
    r"(?:0[13578]|1[02])-31)T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:[.][0-9]{1,6})?"
    r"(?:Z|[+-](?:0[0-9]|1[0-7]):[0-5][0-9])(?:\[[A-Za-z0-9_+/-]+\])?$"
)
# Fewer distinct texts are read one by one.
_MANY = 500
_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


def read(texts: pa.ChunkedArray) -> pa.Array:
    """The texts as microseconds since 1970, rounded down; null where the text is no instant.

    The format is ISO 8601 with RFC 9557's zone in brackets. The offset determines the instant, whatever the zone.
    """
    coded = texts.combine_chunks().dictionary_encode()
    return _instants(coded.dictionary).take(coded.indices)


def with_unknown_zone(texts: pa.ChunkedArray) -> pa.Array:
    """Whether each text has an unknown time zone in brackets."""
    coded = texts.combine_chunks().dictionary_encode()
    # From the bracket on: most instants have one of a few zones.
    zones_of = pa.chunked_array([pc.replace_substring_regex(coded.dictionary, r"^[^\[]*", "")])
    return _of_each(zones_of, _zone_unknown, pa.bool_()).take(coded.indices)


def are_no_zones(texts: pa.ChunkedArray) -> pa.Array:
    """Whether each text is not the name of an IANA time zone."""
    return _of_each(texts, lambda text: text not in zones(), pa.bool_())


def _of_each(texts: pa.ChunkedArray, function: Callable[[str], Any], type_: pa.DataType) -> pa.Array:
    """The function's value of each text, computed once per distinct text: many records have the same second."""
    coded = texts.combine_chunks().dictionary_encode()
    return pa.array(map(function, coded.dictionary.to_pylist()), type_).take(coded.indices)


def _instants(texts: pa.StringArray) -> pa.Int64Array:
    """The instants of distinct texts: many of them at once where they are written as most are."""
    if len(texts) < _MANY:
        return pa.array(map(_instant, texts.to_pylist()), pa.int64())
    usual = pc.match_substring_regex(texts, _USUAL)
    bare = pc.replace_substring_regex(pc.if_else(usual, texts, None), r"\[.*", "")
    found = bare.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    others = texts.filter(pc.fill_null(pc.invert(usual), False)).to_pylist()
    if not others:
        return found
    return pc.replace_with_mask(found, pc.invert(usual), pa.array(map(_instant, others), pa.int64()))


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
