"""Zoned instants as texts (``2020-01-02T00:00:00+01:00[Europe/Warsaw]``): SQL expressions that judge and read them."""

from __future__ import annotations

import zoneinfo

# The bracketed zone and the seconds may be missing; the offset may not, it alone says the instant.
_SHAPE = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,9})?)?"
    r"(Z|[+-][0-9]{2}:[0-9]{2}(:[0-9]{2})?)(\[[A-Za-z0-9_+/-]+\])?$"
)


def instant(column: str) -> str:
    """SQL: the text as a timestamp (microseconds, the rest cut off); null if there is no such instant.

    The format is that of ISO 8601 with RFC 9557's zone in brackets. The offset says the instant, whatever the zone.
    """
    # Spark reads a time with an offset only if it has seconds; most have.
    text = f"substring_index({column}, '[', 1)"
    with_seconds = f"concat(substr({column}, 1, 16), ':00', substring_index(substr({column}, 17), '[', 1))"
    return f"coalesce(try_cast({text} as timestamp), try_cast({with_seconds} as timestamp))"


def malformed(column: str) -> str:
    """SQL: whether the text has another shape than a zoned instant."""
    return f"not {column} rlike r'{_SHAPE}'"


def zone_unknown(column: str) -> str:
    """SQL: whether the text names a zone in brackets that is none."""
    named = f"substring_index(substring_index({column}, '[', -1), ']', 1)"
    return f"instr({column}, '[') > 0 and {is_no_zone(named)}"


def is_no_zone(expression: str) -> str:
    """SQL: whether the text is not the name of an IANA time zone."""
    names = ", ".join(f"'{name}'" for name in sorted(zones()))
    return f"{expression} not in ({names})"


def zones() -> set[str]:
    """The names of the IANA time zones, as zoneinfo has them."""
    return {name for name in zoneinfo.available_timezones() if name[0].isupper() and name != "Factory"}
