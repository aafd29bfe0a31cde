"""Hours as users write them: ``2026-11-21T10``, in UTC."""

from __future__ import annotations

import datetime as dt

from bytemeter.errors import BytemeterError

HOUR = dt.timedelta(hours=1)


def parse_hour(text: str) -> dt.datetime:
    """The start of the hour, in UTC.

    Raises:
        BytemeterError: the text is not the start of an hour.
    """
    try:
        parsed = dt.datetime.fromisoformat(text)
    except ValueError:
        raise _not_an_hour(text) from None
    instant = parsed.replace(tzinfo=parsed.tzinfo or dt.UTC).astimezone(dt.UTC)
    if instant != instant.replace(minute=0, second=0, microsecond=0):
        raise _not_an_hour(text)
    return instant


def hours_between(since: dt.datetime, until: dt.datetime) -> list[dt.datetime]:
    """The hours of [since, until).

    Raises:
        BytemeterError: ``until`` is less than an hour after ``since``.
    """
    count = (until - since) // HOUR
    if count < 1:
        raise BytemeterError(f"no hour lies from {since.isoformat()} to {until.isoformat()}; give a later --to")
    return [since + n * HOUR for n in range(count)]


def chosen_hours(*, hour: str | None, since: str | None, until: str | None) -> list[dt.datetime] | None:
    """The hours that ``--hour``, or ``--from`` and ``--to``, name; None if neither is given.

    Raises:
        BytemeterError: a text is not an hour, or the range holds none.
    """
    if hour:
        return [parse_hour(hour)]
    return hours_between(parse_hour(since), parse_hour(until)) if since and until else None


def _not_an_hour(text: str) -> BytemeterError:
    return BytemeterError(f"{text!r} is not the start of an hour; give e.g. 2026-11-21T10 (UTC)")
