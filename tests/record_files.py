"""Files of data records, in every format."""

from __future__ import annotations

import io
import json

import pyarrow as pa
import pyarrow.parquet as pq

from ingest.importer.contents import CSV, LINES, NDJSON, PARQUET

AT = "2020-01-02T00:00:00+01:00[Europe/Warsaw]"
RECORDS = [
    {"id": "a", "recordedAt": AT, "msisdn": "48917846822", "recordedBytes": 5},
    {"id": "b", "recordedAt": AT, "msisdn": "48917846823", "recordedBytes": 2**40},
]


def parquet(table: pa.Table) -> bytes:
    """The table as a file of parquet."""
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def line(number: int, **changes: str) -> str:
    """A line of the feed, without its end; cells by their names."""
    cells = {"id": f"r-{number}", "at": "2026-11-08T12:00:00+01:00", "msisdn": f"48{number % 1_000}", "bytes": "1"}
    return ";".join({**cells, **changes}.values())


TEXT = "".join(f"{r['id']};{r['recordedAt']};{r['msisdn']};{r['recordedBytes']}\n" for r in RECORDS).encode()
JSON = "\n".join(json.dumps(record) for record in RECORDS).encode()
# The same records in each format.
SAMPLES = {
    LINES: TEXT,
    CSV: b'\xef\xbb\xbfmsisdn,bytes,"id",recordedAt\r\n'
    + "".join(f'{r["msisdn"]},{r["recordedBytes"]},"{r["id"]}",{AT}\r\n' for r in RECORDS).encode(),
    NDJSON: JSON,
    PARQUET: parquet(pa.Table.from_pylist(RECORDS)),
}
