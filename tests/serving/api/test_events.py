"""Positions of threshold events: who has seen one has seen all lower ones, whoever gives them and commits when."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Engine, text

from tests.serving.api.conftest import subscriber
from tests.serving.api.test_stream import Writers

NUMBER = text("select number_threshold_events()")


def test_positions_have_no_gaps_at_any_moment(engine: Engine, seed: int) -> None:
    names = [f"a{number}" for number in range(8)]
    with engine.begin() as connection:
        for number, name in enumerate(names):
            subscriber(connection, name, f"4800{number}")
    writers, stop = Writers(engine, names, seed), threading.Event()

    def give() -> None:
        while not stop.is_set():
            with engine.begin() as connection:
                connection.execute(NUMBER)
                # A moment in which the other one has to wait.
                stop.wait(0.01)

    seen: list[tuple[int, int]] = []
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(writers.run, number) for number in range(4)] + [pool.submit(give) for _ in range(2)]
        end = time.monotonic() + 2
        with engine.connect() as connection:
            while time.monotonic() < end:
                row = connection.execute(
                    text("select count(position), coalesce(max(position), 0) from threshold_events")
                )
                seen.append(tuple(row.one()))
                connection.rollback()
        writers.stop()
        stop.set()
        for one in running:
            one.result()
    assert all(count == highest for count, highest in seen)
    assert len(set(seen)) > 10


def test_what_has_come_in_a_long_time_is_numbered_in_parts(engine: Engine) -> None:
    many = """
    insert into threshold_events (event_id, agreement_id, period_start, type, total_recorded_bytes, payload, source)
    select gen_random_uuid(), 'a', now(), 'DATA_PLAN_EXCEEDED', n, '{}', 'live' from generate_series(1, 10500) as n
    """
    with engine.begin() as connection:
        connection.execute(text(many))
    given = []
    for _ in range(3):
        with engine.begin() as connection:
            given.append(connection.scalar(NUMBER))
    assert given == [10_000, 500, 0]
    with engine.connect() as connection:
        order = connection.scalar(text("select bool_and(position = total_recorded_bytes) from threshold_events"))
    assert order is True
