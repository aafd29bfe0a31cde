"""Messages into the columns of a feed's fields: fast where a message is well-formed, one by one where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.parsing import checking, structs
from bytemeter.parsing.single import REASON, read_single
from bytemeter.parsing.structs import Chunk, Decoder, Fields

# The Structs of so many messages stay in the processor's cache until they are columns: with all messages of a
# micro-batch at once decoding takes half as long again.
_MESSAGES_AT_ONCE = 2_000


def decode(fields: Fields, values: pa.BinaryArray) -> pa.Table:
    """Decode messages.

    Args:
        values: messages as received; null is a tombstone.

    Returns:
        For each message, in their order, a row of the fields and reason: string. The reason says what is wrong with a
        malformed message, whose fields are null; it is null otherwise.
    """
    if not (structs.AVAILABLE and len(values)):
        schema = pa.schema([*((field.name, field.type.arrow) for field in fields), (REASON, pa.string())])
        return pa.Table.from_pylist([read_single(fields, value) for value in values.to_pylist()], schema)
    decoder = structs.decoder(fields)
    undoubted = checking.undoubted(values)
    trusted = values if undoubted.all() else pc.if_else(pa.array(undoubted), values, b"")
    chunks: list[list[Chunk]] = []
    reasons: dict[int, str] = {}
    for start in range(0, len(values), _MESSAGES_AT_ONCE):
        some = slice(start, start + _MESSAGES_AT_ONCE)
        columns, malformed = _decoded(decoder, fields, trusted[some], values[some])
        chunks.append(columns)
        reasons |= {start + row: reason for row, reason in malformed.items()}
    by_field = zip(fields, zip(*chunks, strict=True), strict=True)
    columns_of_all = {field.name: structs.column(field.type, parts) for field, parts in by_field}
    return pa.table({**columns_of_all, REASON: _column_of(reasons, len(values))})


def _decoded(
    decoder: Decoder, fields: Fields, trusted: pa.BinaryArray, values: pa.BinaryArray
) -> tuple[list[Chunk], dict[int, str]]:
    """The columns of a few messages, and the reasons of the malformed messages by row."""
    decoded, doubtful = decoder.decode(trusted.to_pylist())
    reasons: dict[int, str] = {}
    judged: set[int] = set()
    while True:
        for row in doubtful:
            record: Mapping[str, Any] = read_single(fields, values[row].as_py())
            if REASON in record:
                reasons[row] = record[REASON]
            decoded[row] = decoder.empty if REASON in record else decoder.struct(record)
        judged.update(doubtful)
        columns, rows = decoder.chunks(decoded)
        doubtful = sorted(rows - judged)
        if not doubtful:
            return columns, reasons


def _column_of(reasons: Mapping[int, str], count: int) -> pa.Array:
    if not reasons:
        return pa.nulls(count, pa.string())
    index, is_null = np.zeros(count, np.int64), np.ones(count, bool)
    rows = list(reasons)
    index[rows], is_null[rows] = range(len(rows)), False
    return pa.array(list(reasons.values()), pa.string()).take(pa.array(index, mask=is_null))
