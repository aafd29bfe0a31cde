"""Rows arrive in PostgreSQL as they were in memory."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import Connection, Engine, text

from speed_layer.copying import copy, copy_fixed, read_bytes

NASTY = ["", " ", "NULL", "\\N", "\\.", 'a"b', "a,b", "a\nb", "a\r\nb", "\t", "ż𝄞", "\\", None]


def found(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(text("select * from copied order by number"))]


def test_texts_and_nulls(engine: Engine) -> None:
    rows = pa.table({"number": pa.array(range(len(NASTY)), pa.int32()), "words": pa.array(NASTY, pa.string())})
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (number integer, words text)"))
        copy(connection, "copied", pa.concat_tables([rows.slice(0, 0), rows.slice(0, 5), rows.slice(5)]))
        copy(connection, "copied", rows.slice(0, 0))
        assert found(connection) == list(enumerate(NASTY))


def test_numbers_of_fixed_size(engine: Engine) -> None:
    numbers, large = np.array([-1, 0, 2**31 - 1], ">i4"), np.array([-(2**63), 0, 2**63 - 1], ">i8")
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (number integer, large bigint)"))
        copy_fixed(connection, "copied", {"number": numbers, "large": large})
        copy_fixed(connection, "copied", {"number": numbers[:0], "large": large[:0]})
        assert found(connection) == list(zip(numbers.tolist(), large.tolist(), strict=True))


def test_bytes_come_back_as_they_were(engine: Engine) -> None:
    stored = bytes(range(256)) * 40
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (number integer, stored bytea)"))
        connection.execute(text("insert into copied values (1, :stored), (2, null), (3, '')"), {"stored": stored})
        one = "select stored, stored from copied where number ="
        assert [read_bytes(connection, f"{one} {number}")[1] for number in (1, 2, 3)] == [stored, None, b""]
        with pytest.raises(ValueError, match="found no row"):
            read_bytes(connection, f"{one} 4")
