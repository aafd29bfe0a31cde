"""Messages into the parts that the driver counts: made on Spark's executors, sent to the driver as blocks.

A block is opaque bytes to Spark, so that Spark needs no schema of the parts and does not convert their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from bytemeter.executors import map_tables

# Tables by name, each with its own columns.
Parts = Mapping[str, pa.Table]
# Makes parts of messages (partition: int, offset: long, value: binary). Spark pickles it.
ToParts = Callable[[pa.Table], Parts]

NO_MESSAGES = pa.table(
    {"partition": pa.array([], pa.int32()), "offset": pa.array([], pa.int64()), "value": pa.array([], pa.binary())}
)


def messages_to_blocks(messages: DataFrame, to_parts: ToParts) -> DataFrame:
    """Make parts of the messages of the Kafka source, and serialise them.

    Returns:
        Rows of part: string (the part's name) and block: binary (rows of the part as an Arrow IPC stream).
    """

    def blocks(batch: pa.Table) -> pa.Table:
        parts = {name: rows for name, rows in to_parts(batch).items() if rows.num_rows}
        serialised = [_serialised(rows) for rows in parts.values()]
        return pa.table({"part": pa.array(parts, pa.string()), "block": pa.array(serialised, pa.binary())})

    # One task per core, however many ranges the source reads: a task costs some 30 ms.
    tasks = messages.sparkSession.sparkContext.defaultParallelism
    rows = messages.select(*NO_MESSAGES.column_names).coalesce(tasks)
    return map_tables(rows, blocks, "part string, block binary")


def parts_from_blocks(blocks: pa.Table, empty_parts: Parts) -> Parts:
    """Concatenate the blocks of each part.

    Args:
        blocks: see ``messages_to_blocks``.
        empty_parts: what ``to_parts`` makes of ``NO_MESSAGES``: the names of the parts, and their columns.
    """
    return {
        name: pa.concat_tables([empty, *_deserialised(blocks.filter(pc.equal(blocks.column("part"), name)))])
        for name, empty in empty_parts.items()
    }


def _serialised(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    block: bytes = sink.getvalue().to_pybytes()
    return block


def _deserialised(blocks: pa.Table) -> Iterator[pa.Table]:
    for block in blocks.column("block"):
        yield pa.ipc.open_stream(block.as_buffer()).read_all()
