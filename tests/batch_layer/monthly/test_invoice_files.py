"""The files of the invoices, in a folder and in a bucket."""

from __future__ import annotations

from decimal import Decimal

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
    filesystem, root = filesystem_of(history_root)
    with filesystem.open_input_file(f"{root}/invoices/2026-10/lines.parquet") as file:
        lines = parquet.read_table(file)
    assert lines.schema.field("total").type == pa.decimal128(38, 6)
    ((line),) = lines.to_pylist()
    assert (line["customer"], line["total"], line["total_eur"], line["rounding"]) == (
        'Ann, "e"', Decimal("0.135"), Decimal("0.14"), Decimal("0.005"),
    )  # fmt: skip
    with filesystem.open_input_stream(f"{root}/invoices/2026-10/lines.csv") as stream:
        assert pyarrow.csv.read_csv(stream).column("customer").to_pylist() == ['Ann, "e"']
    with filesystem.open_input_file(f"{root}/invoices/2026-10/events.parquet") as file:
        (event,) = parquet.read_table(file).to_pylist()
    assert (event["partition"], event["offset"], event["amount"]) == (2, 17, Decimal("0.125000"))
