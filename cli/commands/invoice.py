"""The command ``invoice``: shows an invoice, and proves its lines."""

from __future__ import annotations

import click

from bytemeter.ending import interruptible
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import endpoints


@click.command()
@click.argument("number")
@click.option(
    "--events",
    is_flag=True,
    help="list the events behind its lines: partition,offset,counts,timestamp,amount. Of a single line that is exactly"
    " what its SHA-256 is made of.",
)
@click.pass_obj
def invoice(settings: Settings, number: str, events: bool) -> None:
    """Show an invoice by its number, e.g. 2026-11-000003, or one line of it, e.g. 2026-11-000003-CALL."""
    from bytemeter.postgres import database, one_line_errors
    from serving.invoices import reading

    with interruptible(), endpoints(settings, "database_url", notify=notify) as ready:
        engine = database(ready.require_database_url())
        with one_line_errors(engine.url), engine.connect() as connection:
            for line in (reading.events if events else reading.shown)(connection, number):
                click.echo(line)
