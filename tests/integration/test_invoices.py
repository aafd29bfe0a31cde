"""Invoices: numbers that stay, final ones that never change, amendments of what came late, and a proof of each line."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import nullcontext
from decimal import Decimal
from pathlib import Path
from typing import Any

import click
import duckdb
import pytest
from pyarrow import parquet
from pyspark.sql import SparkSession
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError

from batch_layer.monthly import billing as month_of_billing
from batch_layer.monthly import invoices
from batch_layer.monthly import job as monthly_job
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from batch_layer.schedule.declared import SCHEDULED
from batch_layer.schedule.due import Next
from batch_layer.schedule.scheduler import Scheduler
from batch_layer.schedule.store import schedule_store
from bytemeter.feeds import BILLABLE_EVENTS
from bytemeter.job import JobContext
from bytemeter.settings import Settings
from cli.main import main
from tests.commands import endpoints, signal_handlers_restored
from tests.integration import oracle
from tests.messages import billable_event

Rows = Callable[..., list[tuple[Any, ...]]]
Bill = Callable[[dt.datetime], dict[str, int]]

OCTOBER = Month(2026, 10)
AT_S = int(dt.datetime(2026, 10, 20, 10, tzinfo=dt.UTC).timestamp())
IN_OCTOBER = dt.datetime(2026, 10, 21, tzinfo=dt.UTC)
IN_GRACE = dt.datetime(2026, 11, 1, 0, 59, tzinfo=dt.UTC)
AFTER_GRACE = dt.datetime(2026, 11, 1, 1, tzinfo=dt.UTC)
LINES = (
    "select number, invoice, month, customer, type, total, events, state, digest, amends, reason from invoices "
    "order by number"
)


@pytest.fixture
def send(put: Callable[..., None], stream: Callable[..., None], as_writer: Settings) -> Callable[..., None]:
    """Send events and count them, by the horizon of an hour."""
    settings = as_writer.model_copy(update={"identity_horizon_s": 3_600.0})

    def sent(*events: bytes, partition: int = 0) -> None:
        put(events, partition=partition, topic="billable-events")
        stream(BILLABLE_EVENTS, settings=settings)

    return sent


@pytest.fixture
def bill(spark: SparkSession, as_writer: Settings) -> Bill:
    """Run the monthly job of October at an instant; how many invoices it has made, by state."""

    def run(now: dt.datetime) -> dict[str, int]:
        billed = MonthlyJob(spark, as_writer, OCTOBER, now, wait_s=60).run().billed
        return billed.invoices if billed else {}

    return run


def event(customer: str, amount: str, type_: str = "CALL", *, after_s: int = 0, **more: Any) -> bytes:
    return billable_event(timestamp=AT_S + after_s, customer=customer, amount=amount, type=type_, **more)


def documented(program: str) -> str:
    """The query by which docs/billing.md recomputes a digest with a program, for a line of this month."""
    found = re.search(rf'```\n{program} [^"]*"(.*?[^\\])"', Path("docs/billing.md").read_text(), re.DOTALL)
    assert found
    return found[1].replace('\\"', '"').replace("2026-11-000003-CALL", "2026-10-000001-DATA")


def digests(place: Settings) -> dict[tuple[str, str], str]:
    """The digest of each customer and type, of all messages in the topic, by docs/billing.md and nothing of ours."""
    texts: dict[tuple[str, str], list[tuple[int, int, str]]] = defaultdict(list)
    for message in oracle.received(place, "billable-events"):
        fields = json.loads(message.value, parse_float=Decimal)
        amount = f"{Decimal(fields['amount']):.6f}"
        text = f"{message.partition},{message.offset},1,{fields['timestamp']},{amount}\n"
        texts[fields["customer"], fields["type"]].append((message.partition, message.offset, text))
    return {
        line: hashlib.sha256("".join(text for _, _, text in sorted(events)).encode()).hexdigest()
        for line, events in texts.items()
    }


def test_an_invoice_is_a_draft_until_the_grace_is_over_and_keeps_its_number(
    send: Callable[..., None], bill: Bill, rows: Rows, place: Settings
) -> None:
    send(event("Berta", "0.005"), event("Berta", "0.01", "DATA"), event("Anton", "-2.5"), event("Anton", "-2.5"))
    assert bill(IN_OCTOBER) == {"draft": 2}
    numbers = "select number, customer, type, total, events, state from invoices order by number"
    assert rows(numbers) == [
        ("2026-10-000001-CALL", "Anton", "CALL", Decimal("-5.000000"), 2, "draft"),
        ("2026-10-000002-CALL", "Berta", "CALL", Decimal("0.005000"), 1, "draft"),
        ("2026-10-000002-DATA", "Berta", "DATA", Decimal("0.010000"), 1, "draft"),
    ]
    send(event("Aaron", "7"), event("Berta", "0.02", "DATA"))
    assert bill(IN_GRACE) == {"draft": 3}
    assert bill(AFTER_GRACE) == {"final": 3}
    issued = rows(LINES)
    assert [(row[0], row[3], row[5], row[6], row[7]) for row in issued] == [
        ("2026-10-000001-CALL", "Anton", Decimal("-5.000000"), 2, "final"),
        ("2026-10-000002-CALL", "Berta", Decimal("0.005000"), 1, "final"),
        ("2026-10-000002-DATA", "Berta", Decimal("0.030000"), 2, "final"),
        ("2026-10-000003-CALL", "Aaron", Decimal("7.000000"), 1, "final"),
    ]
    assert {(row[3], row[4]): row[8] for row in issued} == digests(place)
    assert rows("select total_eur, total, rounding from invoice_totals where customer = 'Berta'") == [
        (Decimal("0.04"), Decimal("0.035"), Decimal("0.005"))
    ]
    assert bill(AFTER_GRACE) == {}
    assert rows(LINES) == issued


def test_a_late_event_makes_an_amendment_and_leaves_the_final_invoice_as_it_is(
    send: Callable[..., None], bill: Bill, rows: Rows, place: Settings
) -> None:
    send(event("Anton", "10", event_id="a"), event("Berta", "1"), partition=1)
    assert bill(AFTER_GRACE) == {"final": 2}
    issued = rows(LINES)
    # A late event, the first one of a customer, and the same event once more in another partition, behind the horizon:
    # of the two the recompute takes the one with the lower position.
    send(event("Berta", "0.5", "DATA"), event("Zoe", "3"), event("later", "0", after_s=30 * 86_400))
    send(event("Berta", "0.25", "DATA"), event("later", "0", after_s=30 * 86_400), partition=1)
    send(event("Anton", "10", event_id="a"))
    assert bill(AFTER_GRACE) == {"amended": 2, "final": 1}
    assert [row for row in rows(LINES) if row in issued] == issued
    late = "counted after the invoice was final"
    amendments = "select number, amends, total, events, reason from invoices where state = 'amended' order by number"
    assert rows(amendments) == [
        ("2026-10-000001-A1-CALL", "2026-10-000001", 0, 0, f"1 late: {late}; 1 taken back: not counted any more"),
        ("2026-10-000002-A1-DATA", "2026-10-000002", Decimal("0.75"), 2, f"2 late: {late}"),
    ]
    assert rows("select state from invoices where customer = 'Zoe'") == [("final",)]
    after = rows(LINES)
    assert bill(AFTER_GRACE) == {}
    assert rows(LINES) == after
    send(event("Berta", "-0.75", "DATA"))
    assert bill(AFTER_GRACE) == {"amended": 1}
    assert rows("select total from invoices where number = '2026-10-000002-A2-DATA'") == [(Decimal("-0.75"),)]
    by_customer = rows("select customer, sum(total), sum(events) from invoices group by 1 order by 1")
    assert by_customer == [("Anton", 10, 1), ("Berta", 1, 4), ("Zoe", 3, 1)]
    owed = "select id, total from billable_recomputed where dimension = 'customer' and month = '2026-10-01Z' order by 1"
    assert rows(owed) == [(customer, total) for customer, total, _ in by_customer]
    listed = "select partition, record_offset, counts from invoice_events where number = '2026-10-000001-A1-CALL'"
    assert sorted(rows(listed)) == [(0, 3, 1), (1, 0, -1)]
    for change in (
        "update invoices set total = 0 where state = 'final' returning number",
        "delete from invoices where state = 'amended' returning number",
        "delete from invoice_events returning number",
        "update invoice_events set amount = 0 returning number",
        "insert into invoice_events values ('2026-10-000001-CALL', 9, 9, 1, now(), 1) returning number",
    ):
        with pytest.raises(IntegrityError, match="stay"):
            rows(change)


@pytest.fixture
def scheduled_at(spark: SparkSession, as_writer: Settings, engine: Engine) -> Callable[[str], bool]:
    """Let the scheduler look once at what is due, of dirty months, at an instant of November; whether it ran."""
    session: Future[SparkSession] = Future()
    session.set_result(spark)
    jobs = [job for job in SCHEDULED if job.name == "dirty-months"]

    def step(text: str) -> bool:
        now = dt.datetime.fromisoformat(f"2026-11-{text}Z")

        def start(run: Next) -> None:
            context = JobContext(
                lambda *_: nullcontext(as_writer), lambda _: nullcontext(session), "schedule", clock=lambda: now
            )
            words = [*run.job.command[2:], *run.options]
            run.job.job.run(
                context, **click.Command("job", params=[*run.job.job.params]).make_context("", words).params
            )

        with schedule_store(engine, as_writer, jobs) as store:
            return Scheduler(engine, as_writer, jobs, start, threading.Event(), lambda: now).step(store)

    return step


def test_the_schedule_makes_amendments_by_itself(
    send: Callable[..., None],
    scheduled_at: Callable[[str], bool],
    rows: Rows,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    documents = "select invoice, state, sum(total), sum(events) from invoices group by 1, 2 order by 1"
    send(event("Anton", "10"), event("Anton", "1", after_s=20 * 86_400))
    # Billing periods of the month may be open for 12 hours and their grace after its end in UTC.
    assert not scheduled_at("01T12:59")
    send(event("Anton", "1", after_s=-30 * 86_400))
    assert scheduled_at("02T05:10")
    september = ("2026-09-000001", "final", 1, 1)
    assert rows(documents) == [september, ("2026-10-000001", "final", 10, 1)]
    # The running month waits, too, but for its own end.
    assert rows("select name from dirty_months") == [("2026-11",)]
    assert not scheduled_at("03T05:10")

    # Events that come to nothing leave all totals as they were.
    send(event("Anton", "5"), event("Anton", "-5"))
    stage = month_of_billing.MonthOfBilling.stage

    def stage_late(*arguments: Any) -> Any:
        send(event("Anton", "7"))
        return stage(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(month_of_billing.MonthOfBilling, "stage", stage_late)
        assert scheduled_at("04T05:10")
    # What was counted while the month was run waits for the next day.
    assert not scheduled_at("04T23:00")
    assert scheduled_at("05T05:10")
    assert not scheduled_at("06T05:10")
    assert rows(documents) == [
        september,
        ("2026-10-000001", "final", 10, 1),
        ("2026-10-000001-A1", "amended", 0, 2),
        ("2026-10-000001-A2", "amended", 7, 1),
    ]
    assert rows("select distinct job, runner, outcome from job_runs") == [("dirty-months", "schedule", "done")]
    assert "2026-10: changed 0 live totals of billable events; invoices made: 1 amended" in capsys.readouterr().out


def test_a_run_that_ends_in_between_is_made_up_for_by_the_next_one(
    send: Callable[..., None],
    bill: Bill,
    rows: Rows,
    place: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def made_and_ended(*arguments: Any, **options: Any) -> None:
        invoices.make(*arguments, **options)
        raise KeyboardInterrupt

    def ended(*_: Any) -> None:
        raise KeyboardInterrupt

    send(event("Anton", "1.005"), event("Anton", "1.01", "DATA"), event("Anton", "2", "DATA"))
    folder = Path(f"{place.history}/invoices/2026-10")
    with monkeypatch.context() as patched:
        patched.setattr(month_of_billing, "invoices", _Replaced(made_and_ended))
        with pytest.raises(KeyboardInterrupt):
            bill(AFTER_GRACE)
    assert rows(LINES) == []
    with monkeypatch.context() as patched:
        patched.setattr(monthly_job, "export", ended)
        with pytest.raises(KeyboardInterrupt):
            bill(AFTER_GRACE)
    issued = rows(LINES)
    assert len(issued) == 2
    assert not folder.exists()
    bill(AFTER_GRACE)
    assert rows(LINES) == issued
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert files.keys() == {"lines.parquet", "lines.csv", "events.parquet"}
    bill(AFTER_GRACE)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == files

    lines = parquet.read_table(folder / "lines.parquet").to_pylist()
    shown = rows("select number, total_eur, total, rounding, events, digest from invoice_lines order by number")
    assert [
        tuple(line[name] for name in ("number", "total_eur", "total", "rounding", "events", "digest")) for line in lines
    ] == shown
    with (folder / "lines.csv").open() as file:
        assert [(line["number"], line["total_eur"]) for line in csv.DictReader(file)] == [
            ("2026-10-000001-CALL", "1.00"), ("2026-10-000001-DATA", "3.01"),
        ]  # fmt: skip
    events = parquet.read_table(folder / "events.parquet").to_pylist()
    assert [(row["number"][15:], row["partition"], row["offset"], row["amount"]) for row in events] == [
        ("CALL", 0, 0, Decimal("1.005")), ("DATA", 0, 1, Decimal("1.01")), ("DATA", 0, 2, Decimal("2")),
    ]  # fmt: skip
    by_duckdb, by_psql = documented("duckdb"), documented("psql")
    digest = duckdb.sql(by_duckdb.replace("invoices/2026-11/events.parquet", str(folder / "events.parquet"))).fetchall()
    assert digest == [(shown[1][-1],)]
    with signal_handlers_restored():
        capsys.readouterr()
        assert main([*endpoints(place), "invoice", "2026-10-000001-DATA", "--events"]) == 0
        proof = capsys.readouterr().out
        assert proof == f"0,1,1,{AT_S},1.010000\n0,2,1,{AT_S},2.000000\n"
        assert hashlib.sha256(proof.encode()).hexdigest() == shown[1][-1]
        assert "".join(",".join(map(str, row)) + "\n" for row in rows(by_psql)) == proof
        assert main([*endpoints(place), "invoice", "2026-10-000001"]) == 0
        text = capsys.readouterr().out
        assert text.startswith("invoice 2026-10-000001 (final) for Anton, 2026-10 in UTC\n")
        # The sum of what is shown would be 4.01: the total is rounded once, from the exact sum.
        assert [line.split()[:5] for line in text.splitlines() if line.startswith("total")] == [
            ["total", "3", "4.02", "4.015000", "0.005000"]
        ]
        assert main([*endpoints(place), "invoice", "17"]) == 1
        assert "no invoice and no line of one has the number '17'" in capsys.readouterr().err


class _Replaced:
    """The module of invoices with another ``make``."""

    SQL = invoices.SQL

    def __init__(self, make: Callable[..., None]) -> None:
        self.make = make
