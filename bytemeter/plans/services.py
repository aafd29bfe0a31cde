"""Who owns the records of an MSISDN: services, made of the versions of all agreements that ever had the MSISDN."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise

from bytemeter.plans.calendars import Calendar
from bytemeter.plans.versions import Version


@dataclass(frozen=True)
class Service:
    """In [served_from, served_until) the records of an MSISDN belong to one agreement, in one calendar."""

    msisdn: str
    served_from: dt.datetime
    served_until: dt.datetime
    agreement_id: str
    calendar: Calendar


def services(versions: Iterable[Version]) -> list[Service]:
    """The services of one MSISDN, in their order; they do not overlap.

    At each instant the agreement with the latest ``serviceStartAt`` serves, of the versions that hold then and whose
    service has started and not ended; of two that start at the same instant the one signed later.

    Args:
        versions: those with this MSISDN, of all agreements.
    """
    serving = [version for version in versions if version.serves_from < version.serves_until]
    if len(serving) == 1:
        (only,) = serving
        return [_service(only, only.serves_from, only.serves_until)]
    bounds = sorted({bound for version in serving for bound in (version.serves_from, version.serves_until)})
    found: list[Service] = []
    for begin, end in pairwise(bounds):
        candidates = [one for one in serving if one.serves_from <= begin and end <= one.serves_until]
        if candidates:
            _append(found, _service(max(candidates, key=_rank), begin, end))
    return found


def _rank(version: Version) -> tuple[dt.datetime, dt.datetime, str]:
    return (version.message.service_start_at, version.message.signed_at, version.message.id)


def _service(version: Version, begin: dt.datetime, end: dt.datetime) -> Service:
    return Service(version.message.msisdn, begin, end, version.message.id, version.message.calendar)


def _append(found: list[Service], one: Service) -> None:
    """Append a service, or lengthen the last one by it."""
    if found and one == replace(found[-1], served_from=found[-1].served_until, served_until=one.served_until):
        found[-1] = replace(found[-1], served_until=one.served_until)
    else:
        found.append(one)
