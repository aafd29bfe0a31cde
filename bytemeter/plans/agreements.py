"""Agreements as PostgreSQL stores them, with all their versions, and what new messages change of them."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, Row, text

from bytemeter.plans.calendars import ensure_periods, years_by_calendar
from bytemeter.plans.periods import instant
from bytemeter.plans.services import Service, services
from bytemeter.plans.versions import DEFAULT_THRESHOLDS, Agreement, Version, ownership, timeline
from bytemeter.sql import Statements

__all__ = ["Agreement", "Changes", "agreement", "take"]

SQL = Statements(__package__, "agreements.sql")


@dataclass(frozen=True)
class Changes:
    """What new messages change.

    Attributes:
        msisdns: their records may have another owner now.
        relimited: open periods (``usage_id``) whose limit or thresholds changed: they are to be judged.
    """

    msisdns: frozenset[str]
    relimited: tuple[int, ...]


def agreement(fields: Mapping[str, Any]) -> Agreement:
    """An agreement from the fields of its message.

    Args:
        fields: id, msisdn, zone: text; signed_us, start_us, received_us: microseconds since 1970; end_us,
            effective_us: the same, or None; limit: bytes; thresholds: list of percents, or None; anchor_day: 1 to 31,
            or None; partition, record_offset: of the message.
    """
    end_us, effective_us = fields["end_us"], fields["effective_us"]
    return Agreement(
        id=fields["id"],
        msisdn=fields["msisdn"],
        signed_at=instant(fields["signed_us"]),
        service_start_at=instant(fields["start_us"]),
        time_zone=fields["zone"],
        limit=fields["limit"],
        thresholds=tuple(sorted({*(fields["thresholds"] or DEFAULT_THRESHOLDS), 100})),
        anchor_day=fields["anchor_day"] or 1,
        service_end_at=None if end_us is None else instant(end_us),
        given_from=None if effective_us is None else instant(effective_us),
        received_at=instant(fields["received_us"]),
        partition=fields["partition"],
        offset=fields["record_offset"],
    )


def take(connection: Connection, messages: Collection[Agreement]) -> Changes:
    """Store the versions that new messages make of their agreements, and what follows from them.

    Key of ``agreement_versions``: id, from when it holds, and when it came. ``agreements`` has the last version of each
    agreement, ``agreement_services`` whom the records of each MSISDN belong to. An agreement whose ownership is new
    gets its first open billing period, with 0 bytes: the one of its arrival, or of its start if that is later.
    """
    if not messages:
        return Changes(frozenset(), ())
    before = _read(connection, {message.id for message in messages})
    after = {id_: timeline([*_messages(before.get(id_, ())), *new]) for id_, new in _by_id(messages)}
    _write(connection, before, after)
    moved = [id_ for id_, versions in after.items() if ownership(versions) != ownership(before.get(id_, ()))]
    msisdns = {one.message.msisdn for id_ in moved for one in (*after[id_], *before.get(id_, ()))}
    if moved:
        _serve(connection, msisdns)
        _open_first_periods(connection, {id_: after[id_] for id_ in moved})
    periods = connection.scalars(SQL["apply_limits"], {"ids": list(before)}).all() if before else ()
    return Changes(frozenset(msisdns), tuple(periods))


def _read(connection: Connection, ids: Iterable[str]) -> dict[str, list[Version]]:
    """The stored versions of agreements, by id."""
    rows = connection.execute(SQL["read_versions"], {"ids": list(ids)})
    return {id_: [_version(row) for row in of_id] for id_, of_id in groupby(rows, lambda row: str(row.id))}


def _messages(versions: Iterable[Version]) -> list[Agreement]:
    return [version.message for version in versions]


def _by_id(messages: Collection[Agreement]) -> list[tuple[str, list[Agreement]]]:
    by_id: dict[str, list[Agreement]] = {}
    for message in messages:
        by_id.setdefault(message.id, []).append(message)
    return list(by_id.items())


def _write(
    connection: Connection, before: Mapping[str, Sequence[Version]], after: Mapping[str, Sequence[Version]]
) -> None:
    """Write the versions, and the last one of each agreement over the stored one.

    A message that came later may change from when an earlier one holds, and so its key: such agreements are written
    anew. Of two messages that Kafka received in the same millisecond, and that hold from then on, the first is left
    out.
    """
    if before:
        connection.execute(SQL["delete_versions"], {"ids": list(before)})
    by_key = {
        (version.message.id, version.effective_from, version.message.received_at): version
        for versions in after.values()
        for version in versions
    }
    connection.execute(SQL["write_versions"], _columns(by_key.values()))
    last = [max(versions, key=lambda one: (one.holds, one.effective_from)) for versions in after.values()]
    connection.execute(SQL["write_agreements"], _columns(last))


def _serve(connection: Connection, msisdns: Collection[str]) -> None:
    """Make the services of these MSISDNs anew."""
    rows = connection.execute(SQL["versions_of_msisdns"], {"msisdns": list(msisdns)})
    found = [
        service
        for _, of_msisdn in groupby(rows, lambda row: str(row.msisdn))
        for service in services(_version(row) for row in of_msisdn)
    ]
    connection.execute(SQL["delete_services"], {"msisdns": list(msisdns)})
    if found:
        connection.execute(SQL["write_services"], _service_columns(found))


def _open_first_periods(connection: Connection, versions: Mapping[str, Sequence[Version]]) -> None:
    this_year = connection.scalars(text("select extract(year from now())::integer")).one()
    holding = [one for of_id in versions.values() for one in of_id if one.holds]
    years = ((one.message.calendar, max(this_year, one.serves_from.year)) for one in holding)
    ensure_periods(connection, years_by_calendar(years))
    connection.execute(SQL["open_first_periods"], {"ids": list(versions)})


def _columns(versions: Collection[Version]) -> dict[str, list[object]]:
    messages = _messages(versions)
    return {
        "ids": [one.id for one in messages],
        "effective": [one.effective_from for one in versions],
        "until": [one.holds_until for one in versions],
        "given": [one.given_from for one in messages],
        "received": [one.received_at for one in messages],
        "partitions": [one.partition for one in messages],
        "offsets": [one.offset for one in messages],
        "msisdns": [one.msisdn for one in messages],
        "signed": [one.signed_at for one in messages],
        "starts": [one.service_start_at for one in messages],
        "ends": [one.service_end_at for one in messages],
        "zones": [one.time_zone for one in messages],
        "limits": [one.limit for one in messages],
        "thresholds": [json.dumps(one.thresholds) for one in messages],
        "anchor_days": [one.anchor_day for one in messages],
    }


def _service_columns(found: Sequence[Service]) -> dict[str, list[object]]:
    return {
        "msisdns": [one.msisdn for one in found],
        "from": [one.served_from for one in found],
        "until": [one.served_until for one in found],
        "ids": [one.agreement_id for one in found],
        "zones": [one.calendar.time_zone for one in found],
        "anchor_days": [one.calendar.anchor_day for one in found],
    }


def _version(row: Row[Any]) -> Version:
    message = Agreement(
        id=row.id,
        msisdn=row.msisdn,
        signed_at=row.signed_at,
        service_start_at=row.service_start_at,
        time_zone=row.billing_period_time_zone,
        limit=row.max_bytes_in_billing_period,
        thresholds=tuple(row.thresholds),
        anchor_day=row.anchor_day,
        service_end_at=row.service_end_at,
        given_from=row.given_from,
        received_at=row.received_at,
        partition=row.partition,
        offset=row.record_offset,
    )
    return Version(message, row.effective_from, row.holds_until)
