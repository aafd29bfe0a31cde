"""The command line: ``bytemeter`` and its options, its commands put together, its errors and exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

import bytemeter
from bytemeter import logs
from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, load_settings
from cli.commands import pipeline, servers


@click.group(context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.version_option(bytemeter.__version__, prog_name="bytemeter")
@click.option("--home", type=click.Path(path_type=Path), help=f"folder of the embedded stack  [{PREFIX}HOME]")
@click.option("--kafka", metavar="HOST:PORT", help=f"bootstrap servers  [{PREFIX}KAFKA]")
@click.option("--database-url", metavar="URL", help=f"postgresql://user:password@host:port/db  [{PREFIX}DATABASE_URL]")
@click.option("--history", metavar="URI", help=f"folder or gs://bucket/prefix  [{PREFIX}HISTORY]")
@click.option("--debug", is_flag=True, expose_value=False, help="show the traceback of an error")
@click.pass_context
def cli(context: click.Context, /, **flags: Any) -> None:
    """Live and exact usage of mobile networks: Kafka, Spark, Delta and PostgreSQL.

    Without --kafka, --database-url and --history (or their variables) every command uses the embedded stack: a real
    Kafka and a real PostgreSQL under --home. A stack that is down is started for the command and stopped after it.
    """
    context.obj = load_settings(**flags)
    logs.configure(context.obj.log_format)


for command in (
    *(servers.up, servers.down, servers.status, servers.dashboards, servers.psql, servers.env),
    *(pipeline.demo, pipeline.migrate, pipeline.provision, pipeline.simulate, pipeline.stream, pipeline.batch),
):
    cli.add_command(command)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; 0 when done, 1 when failed (with one line on standard error), 2 on wrong usage."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        result = cli.main(args=arguments, prog_name="bytemeter", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        return 2
    except click.exceptions.Abort:
        return 1
    except BytemeterError as error:
        if "--debug" in arguments:
            raise
        click.echo(f"bytemeter: {error}", err=True)
        return 1
    return result if isinstance(result, int) else 0
