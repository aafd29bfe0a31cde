"""The same records come out of every format; a bad line costs itself alone, an unreadable file itself alone."""

from __future__ import annotations

import csv
import gzip
import io
import json
from contextlib import ExitStack
from functools import partial
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bytemeter.feeds import BILLABLE_EVENTS, DATA_RECORDS
from ingest.importer import contents
from ingest.importer.contents import CSV, LINES, NDJSON, PARQUET, UnreadableError, examined, opened
from ingest.importer.ids import LineIds
from ingest.importer.mapping import MAPPINGS, Layout
from ingest.importer.readers import format_of, rows
from ingest.judging import judge
from tests.messages import NOW_S
from tests.record_files import AT, JSON, RECORDS, SAMPLES, TEXT, parquet

LAYOUT = MAPPINGS["data-records"]
Found = list[tuple[int, dict[str, Any] | str]]
INFLATED_BY = {
    "as it is": bytes,
    "gzip": gzip.compress,
    "gzip in two members": lambda sample: gzip.compress(sample[:20]) + gzip.compress(sample[20:]),
    "zstd": lambda sample: pa.compress(sample, "zstd", asbytes=True),
    "zstd in two frames": lambda sample: b"".join(
        pa.compress(part, "zstd", asbytes=True) for part in (sample[:20], sample[20:])
    ),
}


def read(value: bytes, format_: str | None = None, layout: Layout = LAYOUT) -> tuple[str, Found, str]:
    """Format, rows by line (records or reasons), and hash of a file."""
    open_file = partial(io.BytesIO, value)
    content = examined(open_file)
    format_ = format_ or format_of(content, layout)
    found: Found = []
    with ExitStack() as stack:
        file = opened(open_file, stack)
        for block in rows(file, content.size, format_, layout, LineIds(content.hash)):
            for place, line in enumerate(block.lines.tolist()):
                reason = block.refused.get(place)
                found.append((line, reason if reason is not None else json.loads(block.documents[place].as_py())))
    return format_, found, content.hash


def expected(first: int, hash_: str) -> list[tuple[int, dict[str, Any]]]:
    return [(line, {**record, "internalId": LineIds(hash_)(line)}) for line, record in enumerate(RECORDS, first)]


@pytest.mark.parametrize("inflated_by", INFLATED_BY)
@pytest.mark.parametrize("format_", [LINES, CSV, NDJSON])
def test_lines_of_every_format_become_the_same_records(format_: str, inflated_by: str) -> None:
    told, found, hash_ = read(INFLATED_BY[inflated_by](SAMPLES[format_]))
    assert (told, found) == (format_, expected(2 if format_ == CSV else 1, hash_))
    assert hash_ == read(SAMPLES[format_])[2], "the content is the same, however it is compressed"


@pytest.mark.parametrize("coded", [False, True])
def test_rows_of_parquet_become_the_same_records(coded: bool) -> None:
    table = pa.Table.from_pylist(RECORDS)
    if coded:
        table = table.set_column(1, "recordedAt", pc.dictionary_encode(table.column("recordedAt")))
    told, found, hash_ = read(parquet(table))
    assert (told, found) == (PARQUET, expected(1, hash_))


def test_parquet_with_instants_nulls_and_quotes_is_read_row_by_row() -> None:
    at = pa.array([0, 1_600_000_000_000_000], pa.timestamp("us", "UTC"))
    table = pa.table({"id": ['"', None], "recordedAt": at, "msisdn": ["1", "2"], "bytes": [1, None]})
    _, found, hash_ = read(parquet(table))
    assert [record for _, record in found] == [
        {"id": '"', "recordedAt": "1970-01-01T00:00:00Z", "msisdn": "1", "recordedBytes": 1,
         "internalId": LineIds(hash_)(1)},
        {"id": LineIds(hash_)(2), "recordedAt": "2020-09-13T12:26:40Z", "msisdn": "2", "internalId": LineIds(hash_)(2)},
    ]  # fmt: skip


def test_a_record_without_an_id_gets_that_of_its_line() -> None:
    for sample in (TEXT.replace(b"a;", b";", 1), JSON.replace(b'"id": "a", ', b"", 1)):
        _, found, hash_ = read(sample)
        assert [record["id"] for _, record in found if isinstance(record, dict)] == [LineIds(hash_)(1), "b"]


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


CELLS = st.one_of(
    st.sampled_from(["", " ", "0", "007", "-0", "-5", "+1", "9" * 19, "9" * 20, "é", "\x7f", "\0", "\\", '"', '"a"', '""',
                     '"a;b"', '"a""b"', 'a"b', "a\tb", "1.5", "r-1", "\u2028", "\r", "\"\r\"", "\x0b"]),
    st.text(max_size=3),
    st.integers(-100, 100).map(str),
)  # fmt: skip
ANY_LINES = st.lists(st.lists(CELLS, min_size=1, max_size=5).map(";".join), max_size=8)


def one_by_one(lines: list[str], hash_: str) -> Found:
    """What a plain reading of each line alone gives: what the reader says it does, without columns."""
    found: Found = []
    for number, text in enumerate(lines, 1):
        if not text.encode().strip():
            continue
        stripped = text.rstrip("\r")
        try:
            cells = next(csv.reader([stripped], delimiter=";", strict=True)) if '"' in text else stripped.split(";")
        except csv.Error as error:
            found.append((number, f"not CSV: {error}"))
            continue
        if len(cells) != 4:
            found.append((number, f"expected id;recordedAt;msisdn;recordedBytes, found {len(cells)} of 4 cells"))
        else:
            document = LAYOUT.document(LAYOUT.columns, cells, LineIds(hash_)(number))
            found.append((number, json.loads(document)))
    return found


@given(ANY_LINES, st.sampled_from(["\n", "\r\n"]))
@example(['"a";"b";"c";"5"', 'a;"b;c;d', "a;b;c;5"], "\n")
@example(['a;"b";c";5', '"";"";"";""'], "\r\n")
@settings(max_examples=300)
def test_lines_that_are_cut_together_are_read_as_each_of_them_alone(lines: list[str], end: str) -> None:
    lines = [line for text in lines for line in text.split("\n")]
    value = end.join(lines).encode()
    _, found, hash_ = read(value, LINES)
    assert found == one_by_one(value.decode("utf-8-sig").split("\n"), hash_)


def test_a_file_with_crlf_and_one_without_an_end_of_its_last_line_are_read() -> None:
    _, found, hash_ = read(TEXT.replace(b"\n", b"\r\n").rstrip())
    assert found == expected(1, hash_)


def test_an_empty_file_has_no_rows() -> None:
    assert read(b"")[1] == read(b"\n \r\n\n")[1] == read(gzip.compress(b""))[1] == []


def test_a_line_that_never_ends_takes_no_memory_and_is_refused() -> None:
    _, found, hash_ = read(b"x;" + b"9" * 9_000_000 + b"\n" + TEXT)
    (line, reason), *others = found
    assert (line, reason) == (1, "expected id;recordedAt;msisdn;recordedBytes, found 2 of 4 cells")
    assert others == expected(2, hash_)


def test_a_long_line_is_judged_by_its_record_and_the_lines_around_it_are_read() -> None:
    long = TEXT.replace(b"a;", b"a" * 1_000_000 + b";", 1).splitlines()[0]
    _, found, _ = read(TEXT + long + b"\n" + TEXT)
    documents = [json.dumps(record).encode() for _, record in found]
    reasons = judge(DATA_RECORDS, documents, NOW_S * 1_000_000).reasons
    assert reasons == [None, None, "event over 900000 bytes", None, None]


@pytest.mark.parametrize("piece", [7, 100, 4 * 2**20])
def test_lines_keep_their_numbers_over_blocks_and_pieces(piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "_PIECE", piece)
    lines = [TEXT.splitlines()[0].replace(b"a;", b"%d;" % number, 1) for number in range(1, 300)]
    _, found, _ = read(b"\xef\xbb\xbf" + b"\n".join(lines))
    assert [(line, record["id"]) for line, record in found if isinstance(record, dict)] == [
        (number, str(number)) for number in range(1, 300)
    ]


@pytest.mark.parametrize(
    "value",
    [gzip.compress(TEXT * 100)[:-20], pa.compress(TEXT * 100, "zstd", asbytes=True)[:-9], b"PAR1 and nothing else",
     parquet(pa.table({"other": [1]})), parquet(pa.Table.from_pylist(RECORDS * 1_000))[:-10]],
    ids=["gzip that ends early", "zstd that ends early", "no parquet", "other columns", "parquet that ends early"],
)  # fmt: skip
def test_a_file_that_cannot_be_read_is_told(value: bytes) -> None:
    with pytest.raises(UnreadableError):
        read(value)


def test_a_header_that_names_a_column_twice_or_lacks_one_is_told() -> None:
    for header in (b"id,recordedAt,msisdn,bytes,id", b"id,recordedAt,msisdn", b'"id'):
        with pytest.raises(UnreadableError, match="^has the header"):
            read(header + b"\n" + f"a,{AT},1,5".encode(), CSV)


def test_an_error_of_the_storage_says_nothing_about_the_content() -> None:
    class Broken(io.BytesIO):
        def read(self, *_: Any) -> bytes:
            raise ConnectionResetError(104, "Connection reset by peer")

    with pytest.raises(ConnectionResetError):
        examined(Broken)


TYPED = b"1488142855,Charlie,199.990000,CALL\n1488142856,Emma,-0.1"


@pytest.mark.parametrize(
    ("value", "first", "type_"),
    [
        (TYPED, 1, "CALL"),
        (b"timestamp,customer,amount,type\n" + TYPED + b",", 2, "CALL"),
        (b"customer;timestamp;amount\nCharlie;1488142855;199.990000\nEmma;1488142856;-0.1", 2, "MISC"),
    ],
    ids=["lines", "a header", "a header without a type"],
)
def test_billable_events_have_their_amounts_as_they_are_written_and_a_type(
    value: bytes, first: int, type_: str
) -> None:
    charlie = {"timestamp": 1488142855, "customer": "Charlie", "amount": "199.990000", "type": type_}
    emma = {"timestamp": 1488142856, "customer": "Emma", "amount": "-0.1", "type": "MISC"}
    _, found, hash_ = read(value, layout=MAPPINGS["billable-events"])
    ids = LineIds(hash_)
    assert found == [(n, {**event, "event_id": ids(n)}) for n, event in enumerate((charlie, emma), first)]
    documents = [json.dumps(record).encode() for _, record in found]
    assert judge(BILLABLE_EVENTS, documents, NOW_S * 1_000_000).reasons == [None, None]
