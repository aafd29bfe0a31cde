"""Database URLs, errors in one line, advisory locks, and instants in SQL."""

from __future__ import annotations

import datetime as dt
import io
import os
import socket
import subprocess
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.postgres import database, one_line_errors
from bytemeter.settings import Settings

WAIT_S = 10
MSISDN = 48917846822
EPOCH, TICK = dt.datetime(1970, 1, 1, tzinfo=dt.UTC), dt.timedelta(microseconds=1)


def test_an_unreachable_server_is_reported_in_one_line() -> None:
    engine = database("postgresql://u:p@127.0.0.1:1/db")
    with pytest.raises(TransientError, match=r"PostgreSQL at 127\.0\.0\.1:1/db cannot be reached") as caught:
        with one_line_errors(engine.url):
            engine.connect()
    assert "\n" not in str(caught.value)


def test_missing_tables_and_a_wrong_password_are_reported_with_the_remedy(place: Settings) -> None:
    engine = database(place.require_database_url())
    with pytest.raises(BytemeterError, match="run `bytemeter migrate`"), one_line_errors(engine.url):
        with engine.connect() as connection:
            connection.execute(text("select * from nowhere"))
    wrong = database(engine.url.set(drivername="postgresql", password="wrong").render_as_string(hide_password=False))
    with pytest.raises(BytemeterError, match="refused the login"), one_line_errors(wrong.url):
        wrong.connect()


@contextmanager
def cut_off(engine: Engine, connection: Connection) -> Iterator[None]:
    """Drop all packets between this process and the server of a connection, as when a machine is switched off."""
    local = psycopg2_port(connection)
    rules = [
        ["-p", "tcp", "--sport", str(first), "--dport", str(second), "-j", "DROP"]
        for first, second in ((local, engine.url.port), (engine.url.port, local))
    ]
    try:
        for rule in rules:
            subprocess.run(["iptables", "-I", "INPUT", *rule], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs iptables, and the right to use it: run as root, in a container with CAP_NET_ADMIN")
    try:
        yield
    finally:
        for rule in rules:
            subprocess.run(["iptables", "-D", "INPUT", *rule], check=True, capture_output=True)


def psycopg2_port(connection: Connection) -> int:
    """The port of this side of a connection."""
    with socket.socket(fileno=os.dup(connection.connection.driver_connection.fileno())) as peer:  # type: ignore[union-attr]
        port: int = peer.getsockname()[1]
        return port


def test_a_server_that_has_gone_without_a_word_is_noticed(engine: Engine, full: bool) -> None:
    if not full:
        pytest.skip("takes half a minute: make faults")
    with engine.connect() as connection:
        connection.execute(text("select 1"))
        connection.commit()
        began = time.monotonic()
        with cut_off(engine, connection):
            with pytest.raises(TransientError, match="cannot be reached"), one_line_errors(engine.url):
                connection.execute(text("select 1"))
            assert time.monotonic() - began < 40


def copied(engine: Engine, row: str) -> None:
    """Copy a row into a table that allows positive numbers only."""
    with engine.begin() as connection:
        connection.exec_driver_sql("create temporary table numbers (n int8 check (n > 0) unique)")
        with connection.connection.cursor() as cursor:
            cursor.copy_expert("copy numbers from stdin", io.StringIO(row))


@pytest.mark.parametrize(
    "failing",
    [
        lambda engine: copied(engine, f"-{MSISDN}"),
        lambda engine: copied(engine, f"{MSISDN}\n{MSISDN}"),
        lambda engine: run_on_numbers(engine, "insert into numbers values (:n), (:n)"),
        lambda engine: run_on_numbers(engine, "insert into numbers values (-:n)"),
    ],
    ids=["check of a copied row", "duplicate among copied rows", "duplicate", "check"],
)
def test_errors_quote_no_rows(failing: Callable[[Engine], None], engine: Engine) -> None:
    with pytest.raises((psycopg2.Error, DBAPIError)) as caught:
        failing(engine)
    shown = "".join(traceback.format_exception(caught.value))
    assert "violates" in shown
    assert str(MSISDN) not in shown


def run_on_numbers(engine: Engine, statement: str) -> None:
    with engine.begin() as connection:
        connection.exec_driver_sql("create temporary table numbers (n int8 check (n > 0) unique)")
        connection.execute(text(statement), {"n": MSISDN})


def test_options_of_the_url_hold_beside_our_own(place: Settings) -> None:
    url = make_url(place.require_database_url()).update_query_dict({"options": "-c work_mem=7MB"})
    with database(url.render_as_string(hide_password=False)).connect() as connection:
        shown = [connection.scalar(text(f"show {name}")) for name in ("work_mem", "timezone")]
    assert shown == ["7MB", "UTC"]


@pytest.mark.parametrize("zone", ["UTC", "America/Sao_Paulo", "Asia/Kathmandu"])
def test_instants_convert_to_microseconds_and_back_in_any_session_zone(engine: Engine, zone: str) -> None:
    last = dt.datetime(9999, 12, 31, 23, 59, 59, 999_999, dt.UTC)
    instants = [
        dt.datetime(1, 1, 1, tzinfo=dt.UTC),
        EPOCH - TICK,
        EPOCH,
        dt.datetime(2018, 11, 4, 3, tzinfo=dt.UTC),
        last,
    ]
    with engine.begin() as connection:
        connection.execute(text(f"set local time zone '{zone}'"))
        for instant in instants:
            us = (instant - EPOCH) // TICK
            converted = connection.execute(
                text("""
                    select
                        to_us(cast(:instant as timestamptz)) as us, to_us(from_us(:us)) as back,
                        from_us(:us) = cast(:instant as timestamptz) as same
                """),
                {"instant": instant.isoformat(), "us": us},
            ).one()
            assert converted == (us, us, True)


def test_conversions_of_instants_are_inlined_into_the_plan(engine: Engine) -> None:
    with engine.begin() as connection:
        plan = connection.scalars(
            text("explain verbose select from_us(n), to_us(from_us(n)) from generate_series(1, 2) n")
        )
        assert not any("_us(" in line for line in plan)
