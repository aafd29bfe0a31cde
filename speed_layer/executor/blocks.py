"""Messages into what is to be counted, on Spark's executors, a few ten thousand at a time as Arrow columns.

To Spark, what goes to the driver are blocks of bytes: it need not know their columns, and takes none of them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from bytemeter.executors import map_tables

# Tables by name, of different columns: all that is to be known of some messages.
Parts = Mapping[str, pa.Table]
# From messages (partition: int, offset: long, value: binary). It runs on executors: it must pickle.
ToParts = Callable[[pa.Table], Parts]

NO_MESSAGES = pa.table(
    {"partition": pa.array([], pa.int32()), "offset": pa.array([], pa.int64()), "value": pa.array([], pa.binary())}
)


def in_blocks(messages: DataFrame, to_parts: ToParts) -> DataFrame:
    """What is made of messages of the Kafka source.

    Returns:
        Rows of part: string (a part's name) and block: binary (rows of it, as an Arrow IPC stream); see ``parts_of``.
    """

    def blocks(some: pa.Table) -> pa.Table:
        parts = {name: rows for name, rows in to_parts(some).items() if rows.num_rows}
        packed = [_packed(rows) for rows in parts.values()]
        return pa.table({"part": pa.array(parts, pa.string()), "block": pa.array(packed, pa.binary())})

    # A task for each core, whatever the number of partitions: one costs some 30 ms.
    tasks = messages.sparkSession.sparkContext.defaultParallelism
    rows = messages.select(*NO_MESSAGES.column_names).coalesce(tasks)
    return map_tables(rows, blocks, "part string, block binary")


def parts_of(blocks: pa.Table, nothing: Parts) -> Parts:
    """The parts in blocks, each put together.

    Args:
        nothing: what is made of ``NO_MESSAGES``: the parts that there are, and their columns.
    """
    return {
        name: pa.concat_tables([none, *_rows_in(blocks.filter(pc.equal(blocks.column("part"), name)))])
        for name, none in nothing.items()
    }


def _packed(rows: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


def _rows_in(blocks: pa.Table) -> Iterator[pa.Table]:
    for block in blocks.column("block"):
        yield pa.ipc.open_stream(block.as_buffer()).read_all()
