"""The same records come out of every format; a bad line costs itself alone, an unreadable file itself alone."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import ExitStack
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bytemeter.feeds import DATA_RECORDS
from ingest.importer.contents import CSV, LINES, NDJSON, PARQUET, UnreadableError, examined, opened
from ingest.importer.mapping import MAPPINGS
from ingest.importer.readers import format_of, rows
from ingest.judging import judge
from tests.messages import NOW_S

LAYOUT = MAPPINGS["data-records"]
AT = "2020-01-02T00:00:00+01:00[Europe/Warsaw]"
RECORDS = [
    {"id": "a", "recordedAt": AT, "msisdn": "48917846822", "recordedBytes": 5},
    {"id": "b", "recordedAt": AT, "msisdn": "48917846823", "recordedBytes": 2**40},
]
TEXT = "".join(f"{r['id']};{r['recordedAt']};{r['msisdn']};{r['recordedBytes']}\n" for r in RECORDS).encode()
JSON = "\n".join(json.dumps(record) for record in RECORDS).encode()


def parquet(table: pa.Table) -> bytes:
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


SAMPLES = {
    LINES: TEXT,
    CSV: b'\xef\xbb\xbfmsisdn,bytes,"id",recordedAt\r\n'
    + "".join(f'{r["msisdn"]},{r["recordedBytes"]},"{r["id"]}",{AT}\r\n' for r in RECORDS).encode(),
    NDJSON: JSON,
    PARQUET: parquet(pa.Table.from_pylist(RECORDS)),
}
INFLATED_BY = {
    "as it is": bytes,
    "gzip": gzip.compress,
    "zstd": lambda sample: pa.compress(sample, "zstd", asbytes=True),
}


def read(value: bytes, format_: str | None = None) -> tuple[str, list[tuple[int, dict[str, Any] | str]], str]:
    """Format, rows by line (records or reasons), and hash of a file."""
    open_file = partial(io.BytesIO, value)
    content = examined(open_file)
    format_ = format_ or format_of(content, LAYOUT)
    found: list[tuple[int, dict[str, Any] | str]] = []
    with ExitStack() as stack:
        file = opened(open_file, stack)
        for block in rows(file, content.size, format_, LAYOUT, lambda line: f"i-{line}"):
            for place, line in enumerate(block.lines):
                reason = block.refused.get(place)
                found.append((line, reason if reason is not None else json.loads(block.documents[place])))
    return format_, found, content.hash


def expected(first: int) -> list[tuple[int, dict[str, Any]]]:
    return [(line, {**record, "internalId": f"i-{line}"}) for line, record in enumerate(RECORDS, first)]


@pytest.mark.parametrize("inflated_by", INFLATED_BY)
@pytest.mark.parametrize("format_", [LINES, CSV, NDJSON])
def test_lines_of_every_format_become_the_same_records(format_: str, inflated_by: str) -> None:
    told, found, hash_ = read(INFLATED_BY[inflated_by](SAMPLES[format_]))
    assert (told, found) == (format_, expected(2 if format_ == CSV else 1))
    assert hash_ == read(SAMPLES[format_])[2], "the content is the same, however it is compressed"


def test_rows_of_parquet_become_the_same_records() -> None:
    assert read(SAMPLES[PARQUET])[:2] == (PARQUET, expected(1))


def test_a_record_without_an_id_gets_that_of_its_line() -> None:
    for sample in (TEXT.replace(b"a;", b";", 1), JSON.replace(b'"id": "a", ', b"", 1)):
        _, found, _ = read(sample)
        assert [record["id"] for _, record in found if isinstance(record, dict)] == ["i-1", "b"]


def test_a_bad_line_costs_itself_alone() -> None:
    first, second = TEXT.splitlines()
    bad = [b"a;b", b"\xff;x;y;1", first.replace(b";5", b";5_0"), b"", first.replace(b";5", b";many"), b'"a']
    _, found, _ = read(b"\n".join([first, *bad, second]))
    assert [line for line, _ in found] == [1, 2, 3, 4, 6, 7, 8]
    refused = {line: reason for line, reason in found if isinstance(reason, str)}
    assert refused[2] == "expected id;recordedAt;msisdn;recordedBytes, found 2 of 4 cells"
    assert refused[3] == "not UTF-8"
    assert refused[7].startswith("not CSV")
    documents = [json.dumps(record).encode() for _, record in found if isinstance(record, dict)]
    reasons = judge(DATA_RECORDS, documents, NOW_S * 1_000_000).reasons
    assert [reason is None for reason in reasons] == [True, False, False, True]


def test_a_line_that_never_ends_takes_no_memory_and_is_refused() -> None:
    _, found, _ = read(b"x;" + b"9" * 9_000_000 + b"\n" + TEXT)
    (line, reason), *others = found
    assert (line, reason) == (1, "expected id;recordedAt;msisdn;recordedBytes, found 2 of 4 cells")
    assert others == expected(2)


def test_many_lines_keep_their_numbers_over_blocks_and_pieces() -> None:
    line = TEXT.splitlines(keepends=True)[0]
    _, found, _ = read(line * 100_003)
    assert [number for number, _ in found] == list(range(1, 100_004))


@pytest.mark.parametrize(
    "value",
    [gzip.compress(TEXT * 100)[:-20], pa.compress(TEXT * 100, "zstd", asbytes=True)[:-9], b"PAR1 and nothing else",
     parquet(pa.table({"other": [1]}))],
    ids=["gzip that ends early", "zstd that ends early", "no parquet", "other columns"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(value: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(value)
