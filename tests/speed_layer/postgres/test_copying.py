"""Rows arrive in PostgreSQL as they were in memory."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, text

from speed_layer.postgres.copying import (
    copy,
    copy_fixed,
    instants,
    nullable,
    nullable_instants,
    read_bytes,
    read_fixed,
)

NASTY = ["", " ", "NULL", "\\N", "\\.", 'a"b', "a,b", "a\nb", "a\r\nb", "\t", "ż𝄞", "\\", None]


def copied(connection: Connection) -> list[tuple[object, ...]]:
    return [tuple(row) for row in connection.execute(text("select * from copied order by index"))]


def test_texts_and_nulls(engine: Engine) -> None:
    rows = pa.table({"index": pa.array(range(len(NASTY)), pa.int32()), "words": pa.array(NASTY, pa.string())})
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (index integer, words text)"))
        copy(connection, "copied", pa.concat_tables([rows.slice(0, 0), rows.slice(0, 5), rows.slice(5)]))
        copy(connection, "copied", rows.slice(0, 0))
        assert copied(connection) == list(enumerate(NASTY))


def test_integers_of_fixed_size(engine: Engine) -> None:
    indices, large = np.array([-1, 0, 2**31 - 1], ">i4"), np.array([-(2**63), 0, 2**63 - 1], ">i8")
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (index integer, large bigint)"))
        copy_fixed(connection, "copied", {"index": indices, "large": large})
        copy_fixed(connection, "copied", {"index": indices[:0], "large": large[:0]})
        assert copied(connection) == list(zip(indices.tolist(), large.tolist(), strict=True))


def test_integers_in_the_byte_order_of_the_machine_are_refused(engine: Engine) -> None:
    with engine.begin() as connection, pytest.raises(ValueError, match="'large'.* not in PostgreSQL's byte order"):
        copy_fixed(connection, "copied", {"index": np.arange(3, dtype=">i4"), "large": np.arange(3, dtype="<i8")})


def test_texts_beside_integers_of_fixed_size(engine: Engine) -> None:
    words = [word for word in NASTY if word is not None] + ["long " * 1_000]
    texts = pa.chunked_array([words[:3], words[3:]], pa.string())
    indices, is_even = np.arange(len(words), dtype=">i8"), np.arange(len(words)) % 2 == 0
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (index bigint, is_even boolean, a text, b text)"))
        copy_fixed(connection, "copied", {"index": indices, "is_even": is_even}, {"b": texts, "a": texts})
        copy_fixed(connection, "copied", {"index": indices[:0], "is_even": is_even[:0]}, {"b": texts[:0]})
        assert copied(connection) == [(n, n % 2 == 0, word, word) for n, word in enumerate(words)]


def test_nulls_among_texts_bytes_numbers_and_instants(engine: Engine) -> None:
    at = dt.datetime(2026, 11, 21, 10, 0, 0, 1, dt.UTC)
    texts = {
        "words": pa.chunked_array([["a", None], [""]], pa.string()),
        "stored": pa.chunked_array([[None, b""], [b"\x00\xff" * 100_000]], pa.binary()),
        "large": nullable(pa.chunked_array([[None, -(2**63)], [2**63 - 1]], pa.int64())),
        "at": nullable_instants(pa.chunked_array([[int(at.timestamp()) * 1_000_000 + 1, None], [0]], pa.int64())),
    }
    with engine.begin() as connection:
        connection.execute(
            text(
                "create temporary table copied (index integer, words text, stored bytea, large bigint, at timestamptz)"
            )
        )
        copy_fixed(connection, "copied", {"index": np.arange(3, dtype=">i4")}, texts)
        found = [(*row[:2], row[2] and bytes(row[2]), *row[3:]) for row in copied(connection)]
    assert found == [
        (0, "a", None, None, at),
        (1, None, b"", -(2**63), None),
        (2, "", b"\x00\xff" * 100_000, 2**63 - 1, dt.datetime(1970, 1, 1, tzinfo=dt.UTC)),
    ]


@given(st.datetimes(timezones=st.just(dt.UTC)))
def test_instants(at: dt.datetime) -> None:
    since_1970 = at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
    (found,) = instants(np.array([since_1970 // dt.timedelta(microseconds=1)]))
    assert at == dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + int(found) * dt.timedelta(microseconds=1)


def test_integers_are_read_as_stored(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (index bigint, large bigint)"))
        assert [column.tolist() for column in read_fixed(connection, "select * from copied", columns=2)] == [[], []]
        large = np.array([-(2**63), 0, 2**63 - 1], ">i8")
        copy_fixed(connection, "copied", {"index": np.arange(3, dtype=">i8"), "large": large})
        query = "select index, large from copied order by index"
        indices, same = read_fixed(connection, query, columns=2)
        assert (indices.tolist(), same.tolist()) == ([0, 1, 2], large.tolist())


def test_bytes_are_read_as_stored(engine: Engine) -> None:
    stored = bytes(range(256)) * 40
    with engine.begin() as connection:
        connection.execute(text("create temporary table copied (index integer, stored bytea)"))
        connection.execute(text("insert into copied values (1, :stored), (2, null), (3, '')"), {"stored": stored})
        one = "select stored, stored from copied where index ="
        assert [read_bytes(connection, f"{one} {index}")[1] for index in (1, 2, 3)] == [stored, None, b""]
        with pytest.raises(ValueError, match="expected a row, but there is none"):
            read_bytes(connection, f"{one} 4")
