"""The command ``load``: telemetry's reference tables from files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bytemeter.ending import interruptible
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import endpoints

if TYPE_CHECKING:
    from ingest.references.rows import Row

_REFERENCES = ("device", "user", "content", "dialcode")
_MOST_SHOWN = 20


@click.command()
@click.argument("reference", type=click.Choice(_REFERENCES))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--key", default="id", help="the column that holds the ids  [id]")
@click.option("--replace", is_flag=True, help="remove the rows that the file does not have")
@click.pass_obj
def load(settings: Settings, reference: str, file: Path, key: str, replace: bool) -> None:
    """Fill a reference table of telemetry from a CSV or a parquet file: new rows are added, others changed.

    Bad rows are left out and listed with the reason; the exit code is then 1, although all good rows are loaded.
    """
    from bytemeter.postgres import database
    from ingest.references.loading import load as apply
    from ingest.references.rows import read_rows

    shown: list[Row] = []

    def complain(row: Row) -> None:
        if len(shown) < _MOST_SHOWN:
            shown.append(row)
            click.echo(f"bytemeter: row {row.place}: {row.data}; left out", err=True)

    with interruptible(), endpoints(settings, "database_url", notify=notify) as ready:
        engine = database(ready.require_database_url())
        loaded = apply(engine, reference, read_rows(file, key), complain, replace=replace)
    click.echo(
        f"loaded {loaded.read - loaded.bad} rows of {reference}: {loaded.new} new, {loaded.changed} changed, "
        f"{loaded.unchanged} as before; {loaded.removed} removed, {loaded.bad} bad"
    )
    if loaded.bad:
        raise click.exceptions.Exit(1)
