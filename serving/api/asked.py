"""What the parameters of a request ask for, within what its client may see."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import pyarrow as pa

from bytemeter.feeds import FEEDS
from bytemeter.web.problems import Problem, wrong_parameter
from serving.api.clients import BILLING, NETWORK, Client
from serving.api.events import TYPES, Filter
from serving.api.parameters import Parameters
from serving.api.totals import Which
from serving.api.usage import Question
from serving.api.zoned import HOUR, UNITS

USAGE_PARAMETERS = ("feed", "dimension", "id", "from", "to", "window", "zone", "format", "limit", "cursor")
EVENT_PARAMETERS = ("msisdn", "agreement", "type")


def _names(types: list[str]) -> dict[str, str]:
    """Types by the names that clients may give: the type itself, or without its ending, such as ``app``."""
    return {type_: type_ for type_ in types} | {type_.removesuffix("_bytes_total"): type_ for type_ in types}


# By feed: types of dimensions by name.
DIMENSIONS = {name: _names(feed.totals.all_types) for name, feed in FEEDS.items() if feed.totals}
# By window: the longest time that may be asked about, and that which is without `from`. Days.
_LONGEST = {"5m": 31, "1h": 366, "1d": 3_660, "1mo": 36_600}
_SHORTEST, _WEEK, _NO_TIME = "5m", dt.timedelta(days=7), dt.timedelta(0)
_USUAL = {"5m": 1, "1h": 1, "1d": 31, "1mo": 366}


def in_money(feed: str) -> bool:
    """Whether a feed's totals are money: then only months of the billing zone are kept."""
    return bool(pa.types.is_decimal(FEEDS[feed].total_type))


def usage_question(asked: Parameters, client: Client, now: dt.datetime, limit: int, billing_zone: ZoneInfo) -> Question:
    """The totals that a request asks for.

    Raises:
        Problem: 400 for a parameter that means nothing, 403 for what the client may not see.
    """
    feed = asked.choice("feed", DIMENSIONS)
    client.require(BILLING if in_money(feed) else NETWORK)
    type_ = DIMENSIONS[feed][asked.choice("dimension", DIMENSIONS[feed])]
    id_ = asked.text("id")
    if client.customer is not None and (type_ != "customer" or not id_ or not client.sees(customer=id_)):
        expected = "dimension=customer and the id of its customer"
        raise Problem(403, f"this API key sees one customer; expected {expected}", name="id", expected=expected)
    which = Which(feed, type_, id_)
    unit, zone = _windows(asked, feed, billing_zone)
    until = asked.instant("to", zone) or now
    since = asked.instant("from", zone) or until - dt.timedelta(days=_USUAL[unit])
    _require_order(since, until, unit)
    if which.batch_only:
        _require_whole_hours(asked, since, until, unit, zone)
    return Question(which, unit, zone, since, until, asked.place(), limit)


def _windows(asked: Parameters, feed: str, billing_zone: ZoneInfo) -> tuple[str, ZoneInfo]:
    if not in_money(feed):
        return asked.choice("window", UNITS, "1h"), asked.zone()
    unit, zone = asked.choice("window", ("1mo",), "1mo"), asked.zone(default=billing_zone.key)
    if zone.key != billing_zone.key:
        raise wrong_parameter(400, "zone", zone.key, f"{billing_zone.key}: money is kept by months of the billing zone")
    return unit, zone


def _require_order(since: dt.datetime, until: dt.datetime, unit: str) -> None:
    if since > until:
        raise wrong_parameter(400, "from", since.isoformat(), f"an instant that is not after `to`, {until.isoformat()}")
    most = _LONGEST[unit]
    if until - since > dt.timedelta(days=most):
        expected = f"an instant at most {most} days before `to`, {until.isoformat()}, for windows of {unit}"
        raise wrong_parameter(400, "from", since.isoformat(), expected)


def _require_whole_hours(asked: Parameters, since: dt.datetime, until: dt.datetime, unit: str, zone: ZoneInfo) -> None:
    """Refuse windows that are not made of hours (UTC), for totals that only recomputes add up."""
    why = f"totals of {asked.text('dimension')} are recomputed by the hour, and never live"
    if unit == _SHORTEST:
        raise wrong_parameter(400, "window", unit, f"one of {', '.join(name for name in UNITS if name != unit)}: {why}")
    # The last window may be a month. No zone has left its whole hours for less than a week.
    weeks = range((until - since) // _WEEK + 6)
    if any((zone.utcoffset(since.astimezone(zone) + week * _WEEK) or _NO_TIME) % HOUR for week in weeks):
        raise wrong_parameter(400, "zone", zone.key, f"a zone that is whole hours from UTC: {why}")


def event_filter(asked: Parameters, client: Client) -> Filter:
    """The threshold events that a request asks for. A bound client that asks for others finds none.

    Raises:
        Problem: 400 for a parameter that means nothing.
    """
    type_ = asked.text("type")
    if type_ is not None:
        type_ = asked.choice("type", TYPES)
    zone = asked.zone()
    msisdn = asked.text("msisdn")
    # No event has this MSISDN, as none has an unknown one.
    hidden = client.msisdn is not None and msisdn not in (None, client.msisdn)
    return Filter(
        "" if hidden else msisdn or client.msisdn,
        asked.text("agreement"),
        type_,
        asked.instant("from", zone),
        asked.instant("to", zone),
    )
