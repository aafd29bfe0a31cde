"""Leases: who may take them, how an owner that is overtaken learns it, and what a silent owner cannot hold up."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
from sqlalchemy import Connection, Engine

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.leases.lease import HeldError, Lease, Terms, leased, require_unheard
from bytemeter.postgres import one_line_errors

Rows = Callable[..., list[tuple[Any, ...]]]
WAIT_S = 20

# Processes on other machines: nobody here knows whether they live.
FIRST, SECOND = "first 1 1 there", "second 2 2 there"
PARTITIONS = {"devices": [0, 1]}
EPOCHS = "select partition, epoch, owner from leases order by partition"


@contextmanager
def holding(engine: Engine, owner: str, *, silent_s: float = 3_600) -> Iterator[tuple[Connection, Lease]]:
    """The leases of both partitions, with the connection of the owner's transactions."""
    with ExitStack() as resources:
        connection = resources.enter_context(engine.connect())
        terms = Terms(owner, silent_s)
        yield connection, resources.enter_context(leased(engine, connection, PARTITIONS, terms))


def silence(rows: Rows) -> None:
    """Let the server see owners that were last heard a day ago."""
    rows("update leases set heard_at = now() - interval '1 day' returning 1")


def test_a_lease_that_was_given_back_is_taken_at_once(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST):
        assert rows(EPOCHS) == [(0, 1, FIRST), (1, 1, FIRST)]
    with holding(engine, SECOND):
        assert rows(EPOCHS) == [(0, 2, SECOND), (1, 2, SECOND)]


def test_a_process_takes_its_own_lease_again(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST), holding(engine, FIRST):
        assert rows(EPOCHS) == [(0, 2, FIRST), (1, 2, FIRST)]


def test_a_lease_of_a_silent_owner_is_taken_over_and_the_owner_is_refused(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST) as (connection, lease):
        # Another server process, so that the takeover does not end its session.
        rows("update leases set session = 0 returning 1")
        silence(rows)
        with holding(engine, SECOND), connection.begin(), pytest.raises(BytemeterError) as caught:
            lease.check(connection)
    assert str(caught.value) == (
        "process 2 on second has taken over partition 0 of the feed devices, since this process was silent for over "
        "3600 s; this one ends, what it had not committed is counted by the other"
    )


def test_an_owner_that_was_overtaken_does_not_give_back_the_lease_of_its_successor(engine: Engine, rows: Rows) -> None:
    with ExitStack() as first:
        first.enter_context(holding(engine, FIRST))
        silence(rows)
        with holding(engine, SECOND):
            first.close()
            assert rows("select count(*) from leases where heard_at = '-infinity'") == [(0,)]


def test_a_takeover_ends_the_open_transaction_of_a_silent_owner(engine: Engine, rows: Rows) -> None:
    with ExitStack() as resources:
        connection, lease = resources.enter_context(holding(engine, FIRST))
        transaction = connection.begin()
        lease.check(connection)
        silence(rows)
        resources.enter_context(holding(engine, SECOND))
        with pytest.raises(TransientError, match="PostgreSQL at .* cannot"), one_line_errors(engine.url):
            transaction.commit()
        assert rows(EPOCHS) == [(0, 2, SECOND), (1, 2, SECOND)]


def test_a_takeover_waits_for_a_transaction_that_holds_the_lease(engine: Engine, rows: Rows) -> None:
    """Even without the right to end its session: what the owner is counting is committed before the successor begins."""
    with holding(engine, FIRST) as (connection, lease), ThreadPoolExecutor(1) as pool:
        with connection.begin():
            lease.check(connection)
            rows("update leases set session = 0, heard_at = now() - interval '1 day' returning 1")
            waiting = pool.submit(lambda: holding(engine, SECOND).__enter__())
            _wait_until_blocked(rows, waiting)
            assert rows(EPOCHS) == [(0, 1, FIRST), (1, 1, FIRST)]
        waiting.result(WAIT_S)
        assert rows(EPOCHS) == [(0, 2, SECOND), (1, 2, SECOND)]


def test_a_heartbeat_does_not_wait_for_a_transaction_that_holds_the_lease(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST, silent_s=0.3) as (connection, lease), connection.begin():
        lease.check(connection)
        ((before,),) = rows("select max(heard_at) from leases")
        _wait_until(lambda: rows("select min(heard_at) from leases")[0][0] > before)


def test_an_owner_that_is_heard_is_not_overtaken(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST, silent_s=1):
        with pytest.raises(BytemeterError) as caught, holding(engine, SECOND):
            pass
        assert rows(EPOCHS) == [(0, 1, FIRST), (1, 1, FIRST)]
    assert str(caught.value) == (
        "another process counts the feed devices (process 1 on first holds the lease and is heard); one is enough: stop "
        "the other first"
    )


def test_a_look_at_leases_refuses_an_owner_that_is_heard_and_takes_nothing(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST, silent_s=1), engine.connect() as connection:
        with pytest.raises(HeldError, match="another process counts the feed devices .process 1 on first"):
            require_unheard(connection, ["devices", "agreements"], Terms(SECOND))
        require_unheard(connection, ["agreements"], Terms(SECOND))
    with engine.connect() as connection:
        require_unheard(connection, ["devices"], Terms(SECOND))
    assert rows(EPOCHS) == [(0, 1, FIRST), (1, 1, FIRST)]


def test_a_look_at_leases_leaves_an_owner_that_is_not_heard_to_the_start(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST), engine.connect() as connection:
        require_unheard(connection, ["devices"], Terms(SECOND, patience_s=0.3))
    assert rows(EPOCHS) == [(0, 1, FIRST), (1, 1, FIRST)]


def test_a_server_clock_that_was_set_back_does_not_keep_a_silent_owner_alive(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST):
        rows("update leases set heard_at = now() + interval '1 day', silent_s = 0.5 returning 1")
        with holding(engine, SECOND):
            assert rows(EPOCHS) == [(0, 2, SECOND), (1, 2, SECOND)]


def test_of_two_successors_one_takes_the_lease(engine: Engine, rows: Rows) -> None:
    with holding(engine, FIRST):
        silence(rows)
        barrier, taken = threading.Barrier(2), threading.Event()

        def succeed(owner: str) -> str:
            barrier.wait(WAIT_S)
            try:
                with holding(engine, owner, silent_s=1):
                    taken.set()
                    done.wait(WAIT_S)
                    return owner
            except BytemeterError as refused:
                return str(refused)

        done = threading.Event()
        with ThreadPoolExecutor(2) as pool:
            results = [pool.submit(succeed, owner) for owner in (SECOND, "third 3 3 there")]
            _wait_until(lambda: any(result.done() for result in results))
            done.set()
            refused = [result.result(WAIT_S) for result in results if "another process" in result.result(WAIT_S)]
    assert len(refused) == 1
    assert {epoch for _, epoch, _ in rows(EPOCHS)} == {2}


def _wait_until(reached: Callable[[], bool]) -> None:
    deadline = threading.Event()
    timer = threading.Timer(WAIT_S, deadline.set)
    timer.start()
    while not reached():
        assert not deadline.wait(0.02)
    timer.cancel()


def _wait_until_blocked(rows: Rows, waiting: Future[Any]) -> None:
    blocked = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    _wait_until(lambda: waiting.done() or rows(blocked) != [(0,)])
    assert not waiting.done()
