"""The names of time zones."""

from __future__ import annotations

import zoneinfo
from functools import cache


@cache
def zones() -> frozenset[str]:
    """The names of the IANA time zones, as zoneinfo has them."""
    return frozenset(name for name in zoneinfo.available_timezones() if name[0].isupper() and name != "Factory")
