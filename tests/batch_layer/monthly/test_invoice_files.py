"""The files of the invoices, in a folder and in a bucket."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from decimal import Decimal
from multiprocessing import get_context
from typing import Any

import pyarrow as pa
import pyarrow.csv
from pyarrow import parquet
from sqlalchemy import Engine, text

from batch_layer.monthly.invoices import export
from bytemeter.history.storage import filesystem_of
from tests.buckets import FOLDER_AND_BUCKET

LINE = """
insert into invoices (number, invoice, month, customer, type, total, events, digest)
values ('2026-10-000001-CALL', '2026-10-000001', '2026-10', 'Ann, "e"', 'CALL', 0.125, 1, 'd')
"""
EVENT = "insert into invoice_events values ('2026-10-000001-CALL', 2, 17, 1, '2026-10-20 10:00Z', 0.125, null)"


def files(history: str) -> tuple[pa.Table, list[str], list[dict[str, Any]]]:
    """The lines, the customers in the CSV file, and the events."""
    filesystem, root = filesystem_of(history)
    folder = f"{root}/invoices/2026-10"
    with filesystem.open_input_file(f"{folder}/lines.parquet") as file:
        lines = parquet.read_table(file)
    with filesystem.open_input_stream(f"{folder}/lines.csv") as stream:
        customers = pyarrow.csv.read_csv(stream).column("customer").to_pylist()
    with filesystem.open_input_file(f"{folder}/events.parquet") as file:
        return lines, customers, parquet.read_table(file).to_pylist()


@FOLDER_AND_BUCKET
def test_files_are_replaced_as_a_whole_and_hold_exact_decimals(engine: Engine, history_root: str) -> None:
    with engine.begin() as connection:
        connection.execute(text(LINE))
        connection.execute(text(EVENT))
    with engine.connect() as connection:
        export(connection, "2026-10", history_root)
        with connection.begin():
            connection.execute(text("update invoices set total = 0.135"))
        export(connection, "2026-10", history_root)
    # pyarrow reads a bucket in another process than the one that serves it: see tests/buckets.py.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        lines, customers, (event,) = process.submit(files, history_root).result()
    assert lines.schema.field("total").type == pa.decimal128(38, 6)
    (line,) = lines.to_pylist()
    assert (line["customer"], line["total"], line["total_eur"], line["rounding"]) == (
        'Ann, "e"', Decimal("0.135"), Decimal("0.14"), Decimal("0.005"),
    )  # fmt: skip
    assert customers == ['Ann, "e"']
    assert (event["partition"], event["offset"], event["amount"]) == (2, 17, Decimal("0.125000"))
