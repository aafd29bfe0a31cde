"""An invoice from PostgreSQL: its lines, its amendments, and the events behind each line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Row

from bytemeter.errors import BytemeterError
from bytemeter.sql import Statements

SQL = Statements(__package__, "invoices.sql")
_ROWS_AT_ONCE = 10_000
_COLUMNS = ("line", "type", "events", "EUR", "exact", "rounding", "SHA-256 of its events")


def shown(connection: Connection, number: str) -> Iterator[str]:
    """An invoice, or one of its lines, as lines of text.

    Raises:
        BytemeterError: there is none of that number.
    """
    invoice, lines = _found(connection, number)
    customer = _printable(invoice.customer)
    yield f"invoice {invoice.invoice} ({invoice.state}) for {customer}, {invoice.month} in {invoice.zone}"
    if invoice.amends:
        yield f"amends {invoice.amends}, which stays as it is; the totals are what it adds"
    yield ""
    rows = [(line.number, line.type, *_amounts(line), line.digest) for line in lines]
    if number == invoice.invoice:
        rows.append(("total", "", *_amounts(invoice), ""))
    yield from _aligned([_COLUMNS, *rows])
    yield ""
    yield from (f"{line.number}: {line.reason}" for line in lines if line.reason)
    for amendment in connection.execute(SQL["amendments"], {"number": invoice.invoice}):
        yield f"amended by {amendment.invoice}: {amendment.total_eur:+f} EUR for {amendment.events} events"
    yield "EUR is the exact figure rounded once, halves to the even cent; rounding is what that has added"


def events(connection: Connection, number: str) -> Iterator[str]:
    """The events behind a line, one text each: partition,offset,counts,timestamp,amount.

    These texts, each with a line feed after it, are what the digest of the line is made of. Of an invoice the events of
    each line follow a text ``# <number of the line> <its digest>``.

    Raises:
        BytemeterError: there is no invoice and no line of that number.
    """
    invoice, lines = _found(connection, number)
    for line in lines:
        if number == invoice.invoice:
            yield f"# {line.number} {line.digest}"
        rows = connection.execute(
            SQL["events"], {"number": line.number}, execution_options={"yield_per": _ROWS_AT_ONCE}
        )
        yield from (row.event for row in rows)


def _found(connection: Connection, number: str) -> tuple[Row[Any], list[Row[Any]]]:
    invoice = connection.execute(SQL["invoice"], {"number": number}).one_or_none()
    if invoice is None:
        raise BytemeterError(
            f"no invoice and no line of one has the number {number!r}; they look like 2026-11-000003 and "
            "2026-11-000003-CALL; `bytemeter batch monthly` makes those of a month, the view invoice_totals lists them"
        )
    return invoice, list(connection.execute(SQL["lines"], {"number": number}))


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _amounts(row: Row[Any]) -> tuple[str, str, str, str]:
    return (str(row.events), f"{row.total_eur:f}", f"{row.total:f}", f"{row.rounding:f}")


def _aligned(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            text.rjust(width) if 2 <= index <= 5 else text.ljust(width)  # noqa: PLR2004, the columns of figures
            for index, (text, width) in enumerate(zip(row, widths, strict=True))
        ]
        yield "  ".join(cells).rstrip()
