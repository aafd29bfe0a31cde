"""Invoices of staged events: whatever comes and goes, the documents of a month add up to what counts."""

from __future__ import annotations

import datetime as dt
import hashlib
import random
from collections import defaultdict
from collections.abc import Callable, Iterable
from decimal import Decimal
from itertools import count
from typing import Any

from sqlalchemy import Engine, text

from batch_layer.monthly.invoices import make
from batch_layer.postgres.staging import Staged
from simulator.billable_events import TYPES
from tests.seeds import SEED

Rows = Callable[..., list[tuple[Any, ...]]]
# Customer, type, partition, offset, event time in seconds, amount.
Event = tuple[str, str, int, int, int, Decimal]

MONTH = "2026-10"
AT_S = int(dt.datetime(2026, 10, 20, tzinfo=dt.UTC).timestamp())
ISSUED = "select * from invoices where state <> 'draft' order by number"
_attempts = count(1)


def made(engine: Engine, events: Iterable[Event], *, final: bool) -> dict[str, int]:
    """Make the invoices of these events, as the monthly job does."""
    insert = text(
        "insert into staged_billable (attempt, customer, type, partition, record_offset, event_us, amount) "
        "values (:attempt, :customer, :type, :partition, :offset, :at * 1000000::bigint, :amount)"
    )
    names = ("customer", "type", "partition", "offset", "at", "amount")
    attempt = next(_attempts)
    staged = [dict(zip(names, event, strict=True)) | {"attempt": attempt} for event in events]
    with engine.begin() as connection:
        if staged:
            connection.execute(insert, staged)
        return make(connection, MONTH, Staged("staged_billable", attempt, len(staged)), final=final)


def drawn_event(drawn: random.Random, offset: int) -> Event:
    customer, partition = drawn.choice([("Anton", 0), ("Berta", 1), ("Charlie", 1)])
    amount = Decimal(drawn.randrange(-(10**6), 10**9)).scaleb(-6)
    return customer, drawn.choice(TYPES[:3]), partition, offset, AT_S + drawn.randrange(10**5), amount


def test_whatever_comes_and_goes_the_documents_add_up_to_what_counts_and_issued_ones_stay(
    engine: Engine, rows: Rows
) -> None:
    drawn, offsets = random.Random(SEED), count()
    events: list[Event] = []
    for step in range(12):
        drawn.shuffle(events)
        gone = drawn.randrange(3)
        del events[:gone]
        events += [drawn_event(drawn, next(offsets)) for _ in range(drawn.randrange(8))]
        before = rows(ISSUED)
        made(engine, events, final=step > 2)
        assert [row for row in rows(ISSUED) if row in before] == before

        expected: dict[tuple[str, str], list[Decimal]] = defaultdict(list)
        for customer, type_, *_, amount in events:
            expected[customer, type_].append(amount)
        found = rows("select customer, type, sum(total), sum(events) from invoices group by 1, 2")
        assert {(c, t): (total, n) for c, t, total, n in found if n or total} == {
            key: (sum(amounts), len(amounts)) for key, amounts in expected.items()
        }
        positions = "select partition, record_offset from invoice_events group by 1, 2 having sum(counts) = 1"
        assert sorted(rows(positions)) == sorted((partition, offset) for _, _, partition, offset, _, _ in events)
        state = rows("select number, total, events, digest, state, reason from invoices order by 1")
        assert made(engine, events, final=step > 2).keys() <= {"draft"}
        assert rows("select number, total, events, digest, state, reason from invoices order by 1") == state
    assert rows("select count(*) > 1 from invoices where amends is not null") == [(True,)]
    for number, digest in rows("select number, digest from invoices"):
        evidence = rows(
            "select partition, record_offset, counts, extract(epoch from event_time)::bigint, amount "
            "from invoice_events where number = :number order by 1, 2",
            number=number,
        )
        assert (
            hashlib.sha256("".join(f"{p},{o},{c},{s},{a:.6f}\n" for p, o, c, s, a in evidence).encode()).hexdigest()
            == digest
        )


def test_the_millionth_customer_of_a_month_has_a_number_of_its_own(engine: Engine, rows: Rows) -> None:
    rows("insert into invoice_numbers values ('2026-10', 'another', 999999) returning month")
    events = [(name, "CALL", 0, offset, AT_S, Decimal(1)) for offset, name in enumerate(["Anton", "Berta"])]
    assert made(engine, events, final=True) == {"final": 2}
    assert rows("select invoice, customer from invoices order by 1") == [
        ("2026-10-1000000", "Anton"), ("2026-10-1000001", "Berta"),
    ]  # fmt: skip
