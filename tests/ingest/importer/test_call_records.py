"""Call detail records: all releases of the file's layout are read; a bad record costs itself alone, a cut file itself alone."""

from __future__ import annotations

import datetime as dt
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from bytemeter.errors import BytemeterError
from bytemeter.feeds import DATA_RECORDS
from ingest.importer.asn1 import asn1_rows, schema_of
from ingest.importer.contents import UnreadableError
from ingest.importer.ids import LineIds
from ingest.importer.mapping import MAPPINGS
from ingest.judging import judge
from tests.call_records import (
    MAPPING,
    MODULE,
    SAMPLE,
    SAMPLED,
    address,
    encoded,
    file_of,
    sample,
    timestamp,
    volume,
)
from tests.seeds import SEED

LAYOUT = MAPPINGS["data-records"]
SCHEMA = schema_of(MODULE, MAPPING, LAYOUT)
AT = dt.datetime(2026, 11, 8, 12, 5, tzinfo=dt.UTC)


def read(content: bytes) -> dict[int, dict[str, Any] | str]:
    """By line the record, or why it is refused."""
    file = pa.PythonFile(io.BytesIO(content), mode="r")
    found: dict[int, dict[str, Any] | str] = {}
    for block in asn1_rows(file, len(content), SCHEMA, LAYOUT, LineIds("hash")):
        for place, line in enumerate(block.lines.tolist()):
            reason = block.refused.get(place)
            found[line] = reason if reason is not None else json.loads(block.documents[place].as_py())
    return found


def test_the_sample_of_the_documentation_is_the_generated_one_and_becomes_data_records() -> None:
    assert SAMPLE.read_bytes() == sample()
    found = read(sample())
    assert list(found) == list(range(1, SAMPLED + 1))
    assert found[4] == {
        "id": "1003/1",
        "msisdn": "48917846803",
        # Of two changes the last one.
        "recordedAt": "2026-11-08T12:13:00+01:00",
        "recordedBytes": 2 * 51_000 * 3,
        "internalId": LineIds("hash")(4),
    }
    values = [json.dumps(record).encode() for record in found.values()]
    assert judge(DATA_RECORDS, values, round(AT.timestamp()) * 1_000_000).reasons == [None] * SAMPLED


@pytest.mark.parametrize(
    "shape", [{}, {"later": True}, {"extension": b"private"}, {"later": True, "extension": b"x"}, {"count": 2**32 - 1}]
)
def test_files_of_all_releases_are_read(shape: dict[str, Any]) -> None:
    found = read(file_of(encoded(chargingID=5), encoded(chargingID=6), **shape))
    assert [record["id"] for record in found.values() if isinstance(record, dict)] == ["5/1", "6/1"]
    assert read(file_of(**shape)) == {}


def test_numbers_of_any_length_and_instants_with_any_offset_are_told_exactly() -> None:
    for msisdn in ("1", "12", "491234567890123"):
        (found,) = read(file_of(encoded(servedMSISDN=address(msisdn)))).values()
        assert isinstance(found, dict)
        assert found["msisdn"] == msisdn
    for offset in (dt.timedelta(hours=5, minutes=45), -dt.timedelta(hours=9, minutes=30)):
        at = AT.astimezone(dt.timezone(offset))
        (found,) = read(file_of(encoded(volumes=[volume(2**40, 1, at)]))).values()
        assert isinstance(found, dict)
        assert (dt.datetime.fromisoformat(found["recordedAt"]), found["recordedBytes"]) == (AT, 2**40 + 1)
        assert found["recordedAt"].endswith(at.strftime("%z")[:3] + ":" + at.strftime("%z")[3:])


BAD = {
    "rubbish": (b"\x01\x02\x03", "no record of the schema"),
    "empty": (b"", "no record of the schema"),
    "cut": (encoded()[:-4], "no record of the schema"),
    "more behind it": (encoded() + b"\x00\x00", "2 bytes follow it"),
    "deep": (b"\xbf\x4f\x80" * 5_000, "no record of the schema"),
    "letters in the number": (encoded(servedMSISDN=b"\x91\xba\x21"), "msisdn is no address"),
    "no instant": (
        encoded(volumes=[], recordOpeningTime=b"\x26\x11\x08\x12\x00\x00?\x00\x00"),
        "recordedAt is no time",
    ),
    "hexadecimal instant": (
        encoded(volumes=[], recordOpeningTime=b"\x2a\x11\x08\x12\x00\x00+\x00\x00"),
        "is no TimeStamp",
    ),
}


def test_a_bad_record_costs_itself_alone() -> None:
    found = read(file_of(*(part for bad, _ in BAD.values() for part in (bad, encoded()))))
    reasons = [reason for reason in found.values() if isinstance(reason, str)]
    assert len(found) - len(reasons) == len(BAD)
    for reason, (name, (_, expected)) in zip(reasons, BAD.items(), strict=True):
        assert expected in reason, (name, reason)
        assert "\n" not in reason
    (reason,) = read(file_of(encoded(), format_=2)).values()
    assert reason == "its data has the format 2; expected 1, which is BER"
    # Of a record without a value for a required field the feed's own rule tells.
    (record,) = read(file_of(encoded(volumes=None))).values()
    assert judge(DATA_RECORDS, [json.dumps(record).encode()], round(AT.timestamp()) * 1_000_000).reasons == [
        "missing recordedBytes"
    ]


def test_a_file_that_is_cut_anywhere_or_is_another_is_refused_as_a_whole() -> None:
    whole = file_of(encoded(), encoded(), later=True, extension=b"ext")
    for end in range(len(whole)):
        with pytest.raises(UnreadableError):
            read(whole[:end])
    # Also if the header knows no length.
    unknown = b"\xff" * 4 + whole[4:]
    assert len(read(unknown)) == 2
    for end in range(52, len(unknown)):
        with pytest.raises(UnreadableError, match="is cut short|header"):
            read(unknown[:end])
    with pytest.raises(UnreadableError, match="has 1 records; its header says 3"):
        read(file_of(encoded(), count=3))
    for other in (b"id;recordedAt;msisdn;bytes\n" * 10, b"{}", b"", bytes(1_000)):
        with pytest.raises(UnreadableError):
            read(other)


def test_whatever_bytes_change_a_record_is_read_or_refused() -> None:
    chance, whole = random.Random(SEED), sample()
    read_or_refused = 0
    for _ in range(1_500):
        changed = bytearray(whole)
        for _ in range(chance.randrange(1, 6)):
            changed[chance.randrange(56, len(whole))] = chance.randrange(256)
        try:
            read_or_refused += len(read(bytes(changed)))
        except UnreadableError:
            # The length of a record has changed.
            continue
    assert read_or_refused > 1_000


@pytest.mark.parametrize(
    ("mapping", "expected"),
    [
        ("rubbish", "--mapping"),
        ("record = 'CallRecord'", "a table [fields.NAME]"),
        ("record = 'Other'\n[fields.msisdn]\n", "record is 'Other'; the types of the schema are CallRecord, TimeStamp"),
        (MAPPING.read_text().replace("fields.msisdn", "fields.number"), "has no field 'number'; its fields are"),
        (MAPPING.read_text().replace('"address"', '"phone"'), "fields.msisdn.as is 'phone'; expected one of text, sum"),
        (MAPPING.read_text().replace('["usage.servedMSISDN"]', "[]"), "fields.msisdn.from is []; expected a list"),
        (
            MAPPING.read_text().partition("[fields.recordedBytes]")[0],
            "the feed needs id, recordedAt, msisdn, recordedBytes",
        ),
    ],
)
def test_a_mapping_that_could_not_work_is_refused_in_one_line(tmp_path: Path, mapping: str, expected: str) -> None:
    file = tmp_path / "mapping.toml"
    file.write_text(mapping)
    with pytest.raises(BytemeterError) as caught:
        schema_of(MODULE, file, LAYOUT)
    assert expected in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_schema_that_is_no_asn_1_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BytemeterError, match=r"--schema: .*usage\.toml is no ASN\.1 module that can be read: [^\n]+$"):
        schema_of(MAPPING, MAPPING, LAYOUT)
    (tmp_path / "lacking.asn1").write_text("A DEFINITIONS ::= BEGIN B ::= SEQUENCE { c [0] Missing } END")
    with pytest.raises(BytemeterError, match=r"^--schema: [^\n]+$"):
        schema_of(tmp_path / "lacking.asn1", MAPPING, LAYOUT)


def test_values_are_told_by_kind(tmp_path: Path) -> None:
    mapping = MAPPING.read_text().replace('"address"', '"hex"').replace('as = "text"', 'as = "sum"')
    file = tmp_path / "mapping.toml"
    file.write_text(mapping)
    schema = schema_of(MODULE, file, LAYOUT)
    cells = schema.cells(encoded(recordOpeningTime=timestamp(AT), volumes=[]))
    assert cells == [8, "918419876428f2", "2026-11-08T12:05:00+00:00", None]
