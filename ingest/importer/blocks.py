"""Rows into the messages of the lines that are accepted: judged as the stream judges, repetitions left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bytemeter.feeds import Feed
from ingest.importer.readers import Rows
from ingest.judging import judged_columns


@dataclass(frozen=True)
class Block:
    """Lines that are sent together.

    Attributes:
        next_line: the line after them.
        values, keys: of the messages for accepted lines.
        invalid, repeated: how many other lines there are.
        refused: the number of each invalid line, and the reason; also of lines that an earlier import has sent.
    """

    next_line: int
    values: list[bytes]
    keys: list[bytes | None]
    invalid: int
    repeated: int
    refused: list[tuple[int, str]]


def block_of(feed: Feed, rows: Rows, next_line: int, now_us: int) -> Block:
    """Judge rows.

    Args:
        next_line: lines before this one were sent by an earlier import.
        now_us: the clock, in microseconds since 1970.
    """
    judged = judged_columns(feed, rows.documents, now_us)
    reasons = judged.column("reason")
    invalid = pc.is_valid(reasons).to_numpy()
    told = {place: reasons[place].as_py() for place in np.flatnonzero(invalid).tolist()} | rows.refused
    invalid[list(rows.refused)] = True
    repeated = _repeated(judged, ~invalid) if feed.event_id is not None else np.zeros(len(invalid), bool)
    new = rows.lines >= next_line
    sent = pa.array(new & ~invalid & ~repeated)
    return Block(
        rows.next_line,
        rows.documents.filter(sent).to_pylist(),
        judged.column("key").filter(sent).cast(pa.binary()).to_pylist(),
        int(np.count_nonzero(new & invalid)),
        int(np.count_nonzero(new & repeated)),
        [(int(rows.lines[place]), told[place]) for place in sorted(told)],
    )


def _repeated(judged: pa.Table, valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Which valid rows have the event id and the event hour of an earlier valid row."""
    repeated = np.zeros(len(valid), bool)
    ids = judged.column("id").combine_chunks().filter(pa.array(valid))
    if pc.count_distinct(ids).as_py() == len(ids):
        return repeated
    codes = ids.dictionary_encode().indices.to_numpy().astype(np.int64)
    hours = judged.column("hour").to_numpy()[valid].astype(np.int64)
    _, first = np.unique(np.stack([codes, hours], axis=1), axis=0, return_index=True)
    again = np.ones(len(ids), bool)
    again[first] = False
    repeated[np.flatnonzero(valid)] = again
    return repeated
