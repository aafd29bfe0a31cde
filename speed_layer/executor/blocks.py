"""Messages into the parts that the driver counts: made on Spark's executors, sent to the driver as blocks.

A block is opaque bytes to Spark, so that Spark needs no schema of the parts and does not convert their rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

import pyarrow as pa
from pyspark.sql import DataFrame

from bytemeter.executors import BoundedMessages, map_bounded

# Tables by name, each with its own columns.
Parts = Mapping[str, pa.Table]
# Makes parts of messages (partition: int, offset: long, value: binary, timestamp: Kafka's). Spark pickles it.
ToParts = Callable[[pa.Table], Parts]

_BLOCKS = pa.schema([("part", pa.string()), ("block", pa.binary())])

# The part of messages that are sent on (see ``speed_layer.executor.outgoing``).
_SENT_ON = "outgoing"

NO_MESSAGES = pa.table(
    {
        "partition": pa.array([], pa.int32()),
        "offset": pa.array([], pa.int64()),
        "value": pa.array([], pa.binary()),
        "timestamp": pa.array([], pa.timestamp("us", "UTC")),
    }
)


def messages_to_blocks(messages: DataFrame, to_parts: ToParts, *, task_bytes: int) -> DataFrame:
    """Make parts of the messages of the Kafka source, and serialise them.

    Args:
        task_bytes: what a task may read.

    Returns:
        Rows of part: string (the part's name), block: binary (rows of the part as an Arrow IPC stream) and read: struct
        (see ``bytemeter.executors.map_bounded``).
    """

    def blocks(messages: BoundedMessages) -> Iterator[pa.Table]:
        for table in messages:
            parts = {name: rows for name, rows in to_parts(table).items() if rows.num_rows}
            serialised = [_serialised(rows, compressed=name == _SENT_ON) for name, rows in parts.items()]
            # A message may become many times its size. Of all other parts the messages' own size is a bound.
            messages.add(sum(len(block) for name, block in zip(parts, serialised, strict=True) if name == _SENT_ON))
            yield pa.table([pa.array(parts, pa.string()), pa.array(serialised, pa.binary())], _BLOCKS)

    # One task per core, however many ranges the source reads: a task costs some 30 ms.
    tasks = messages.sparkSession.sparkContext.defaultParallelism
    rows = messages.select(*NO_MESSAGES.column_names).coalesce(tasks)
    return map_bounded(rows, blocks, _BLOCKS, most_bytes=task_bytes)


def parts_from_blocks(blocks: Iterable[tuple[str, pa.BinaryScalar]], empty_parts: Parts) -> Parts:
    """Concatenate the blocks of each part, without copying them.

    Args:
        blocks: pairs of a part's name and a block, see ``messages_to_blocks``.
        empty_parts: what ``to_parts`` makes of ``NO_MESSAGES``: the names of the parts, and their columns.
    """
    tables = {name: [empty] for name, empty in empty_parts.items()}
    for name, block in blocks:
        tables[name].append(pa.ipc.open_stream(block.as_buffer()).read_all())
    return {name: pa.concat_tables(parts) for name, parts in tables.items()}


def _serialised(rows: pa.Table, *, compressed: bool) -> bytes:
    """Rows as an Arrow IPC stream. Spark copies a block several times: of messages, lz4 makes a fraction of them."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="lz4" if compressed else None)
    with pa.ipc.new_stream(sink, rows.schema, options=options) as writer:
        writer.write_table(rows)
    block: bytes = sink.getvalue().to_pybytes()
    return block
