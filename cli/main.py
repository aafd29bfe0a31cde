"""The command line ``bytemeter``: its options and its commands."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import bytemeter
from bytemeter import logs
from bytemeter.job import CONTEXT_SETTINGS, debug_option, run_command
from bytemeter.settings import PREFIX, load_settings, with_secrets
from cli.commands import jobs, preparing, servers
from cli.commands.api import api
from cli.commands.collector import collector
from cli.commands.demo import demo
from cli.commands.importing import import_files
from cli.commands.invoice import invoice
from cli.commands.loading import load
from cli.commands.process import CALLERS_UMASK
from cli.commands.questions import sql
from cli.commands.replay import replay
from cli.commands.schedule import schedule
from cli.commands.simulate import simulate
from cli.commands.submit import submit
from embedded.modes import files_of_owner

_WRITE_HISTORY = ("stream", "batch", "maintain", "schedule", "demo")


@click.group(context_settings=CONTEXT_SETTINGS)
@click.version_option(bytemeter.__version__, prog_name="bytemeter")
@click.option("--home", type=click.Path(path_type=Path), help=f"folder of the embedded stack  [{PREFIX}HOME]")
@click.option("--kafka", metavar="HOST:PORT", help=f"bootstrap servers  [{PREFIX}KAFKA]")
@click.option(
    "--database-url",
    metavar="URL",
    help=f"postgresql://user@host:port/db; a password better by [{PREFIX}DATABASE_URL_FILE, {PREFIX}DATABASE_URL]",
)
@click.option("--history", metavar="URI", help=f"folder or gs://bucket/prefix  [{PREFIX}HISTORY]")
@debug_option
@click.pass_context
def cli(context: click.Context, /, **flags: Any) -> None:
    """Live and exact usage of mobile networks: Kafka, Spark, Delta and PostgreSQL.

    Without --kafka, --database-url and --history (or their variables) every command uses the embedded stack: a real
    Kafka and a real PostgreSQL under --home. A stack that is down is started for the command and stopped after it.
    """
    context.obj = load_settings(**flags)
    # What is submitted reads its secrets itself, where it runs.
    if context.invoked_subcommand != "submit":
        context.obj = with_secrets(context.obj)
    logs.configure(context.obj.log_format)
    # A history of the user's own may be meant for others, too. All else goes to the home.
    if context.obj.history is None or context.invoked_subcommand not in _WRITE_HISTORY:
        context.meta[CALLERS_UMASK] = context.with_resource(files_of_owner())


for command in (
    *(servers.up, servers.down, servers.status, servers.dashboards, servers.psql, servers.env),
    *(demo, preparing.migrate, preparing.provision, simulate),
    *(
        jobs.stream,
        jobs.batch,
        jobs.maintain_history,
        schedule,
        submit,
        collector,
        api,
        invoice,
        import_files,
        load,
        replay,
        sql,
    ),
):
    cli.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 1 when failed (with one line on standard error), 2 on wrong usage."""
    return run_command(cli, argv, "bytemeter")
