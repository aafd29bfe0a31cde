"""The command ``sql``: one question over the history and PostgreSQL."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager

import click

from bytemeter.ending import interruptible
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import embedded, endpoints

_FORMATS = ("table", "csv", "json")


@click.command()
@click.argument("statement", required=False)
@click.option("--format", "form", type=click.Choice(_FORMATS), default="table", help="of the answer  [table]")
@click.option("--tables", "lists", is_flag=True, help="list the tables that a statement may name")
@click.pass_obj
def sql(settings: Settings, statement: str | None, form: str, lists: bool) -> None:
    """Ask one question in SQL, as DuckDB writes it, over the history and PostgreSQL; nothing can be changed.

    STATEMENT is one SELECT; with - it is read from standard input. A feed's name is its history (game_events for
    "game-events"), invalid.devices its invalid messages; every other name is a table or view of PostgreSQL, or
    postgres.agreements where a feed has the same name.
    """
    if (statement is None) != lists:
        raise click.UsageError("give a statement, e.g. 'select count(*) from devices', or --tables")
    from serving.questions import asking, formats

    with interruptible():
        if statement is None:
            with endpoints(settings, notify=notify) as ready:
                click.echo("\n".join(asking.tables(ready)))
            return
        text = sys.stdin.read() if statement == "-" else statement
        write = {"table": formats.write_table, "csv": formats.write_csv, "json": formats.write_json}[form]
        with _places(settings, text) as ready, asking.asked(ready, text) as answer:
            write(answer, sys.stdout)


def _places(settings: Settings, statement: str) -> AbstractContextManager[Settings]:
    """The endpoints that a statement needs: for the history alone, the embedded servers are not started."""
    from serving.questions import asking
    from serving.questions.statement import POSTGRES, named_tables

    with asking.parser() as duckdb:
        needs_servers = any(table.schema == POSTGRES for table in named_tables(duckdb, statement))
    only_history = embedded(settings) and not needs_servers
    return endpoints(settings, *(["history"] if only_history else []), notify=notify)
