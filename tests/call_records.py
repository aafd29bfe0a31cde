"""Files of call detail records, made by asn1tools and the layout of TS 32.297, byte by byte."""

from __future__ import annotations

import datetime as dt
from functools import cache
from pathlib import Path
from typing import Any

import asn1tools

FOLDER = Path("docs/call-records")
MODULE, MAPPING, SAMPLE = FOLDER / "usage.asn1", FOLDER / "usage.toml", FOLDER / "sample.cdr"
SAMPLED = 20


@cache
def _schema() -> Any:
    return asn1tools.compile_files([str(MODULE)], "ber")


def encoded(**changes: Any) -> bytes:
    """A record; members that are None are left out."""
    members: dict[str, Any] = {
        "recordType": 85,
        "servedMSISDN": address("48917846822"),
        "chargingID": 7,
        "recordSequenceNumber": 1,
        "recordOpeningTime": timestamp(dt.datetime(2026, 11, 8, 12, tzinfo=dt.UTC)),
        "volumes": [volume(1, 2, dt.datetime(2026, 11, 8, 12, 5, tzinfo=dt.UTC))],
        **changes,
    }
    given = {name: member for name, member in members.items() if member is not None}
    record: bytes = bytes(_schema().encode("CallRecord", ("usage", given)))
    return record


def volume(uplink: int, downlink: int, at: dt.datetime) -> dict[str, Any]:
    return {"uplink": uplink, "downlink": downlink, "changeTime": timestamp(at)}


def address(msisdn: str) -> bytes:
    """An international number of the telephone numbering plan."""
    padded = msisdn + "f" * (len(msisdn) % 2)
    return b"\x91" + bytes(int(padded[place + 1] + padded[place], 16) for place in range(0, len(padded), 2))


def timestamp(at: dt.datetime) -> bytes:
    offset = at.strftime("%z")
    return bytes.fromhex(at.strftime("%y%m%d%H%M%S")) + offset[:1].encode() + bytes.fromhex(offset[1:])


def file_of(
    *records: bytes, later: bool = False, extension: bytes = b"", count: int | None = None, format_: int = 1
) -> bytes:
    """A file with these records.

    Args:
        later: of a release after the ninth, which takes one byte more in each header of a record, two in the file's.
        extension: a private one.
        count: how many records its header says there are.
    """
    release = b"\xe0" if later else b"\xc0"
    body = b"".join(
        len(record).to_bytes(2, "big") + release + bytes([format_ << 5 | 7]) + (b"\x08" if later else b"") + record
        for record in records
    )
    said = len(records) if count is None else count
    head = (
        release * 2 + b"\x00" * 8 + said.to_bytes(4, "big") + (42).to_bytes(4, "big") + b"\x00"
        + b"\xff" * 16 + bytes([10, 0, 0, 1]) + b"\x00" + (0).to_bytes(2, "big")
        + len(extension).to_bytes(2, "big") + extension + (b"\x08\x08" if later else b"")
    )  # fmt: skip
    length = 8 + len(head)
    return (length + len(body)).to_bytes(4, "big") + length.to_bytes(4, "big") + head + body


def sample() -> bytes:
    """The sample of the documentation: some subscribers, with one or two changes each."""
    zone = dt.timezone(dt.timedelta(hours=1))
    start = dt.datetime(2026, 11, 8, 12, tzinfo=zone)
    return file_of(
        *(
            encoded(
                servedMSISDN=address(f"4891784{6_800 + number % 5}"),
                chargingID=1_000 + number,
                recordOpeningTime=timestamp(start + dt.timedelta(minutes=number)),
                volumes=[
                    volume(1_000 * number, 50_000 * number, start + dt.timedelta(minutes=number + 5 * change))
                    for change in range(1, 2 + number % 2)
                ],
            )
            for number in range(SAMPLED)
        )
    )
