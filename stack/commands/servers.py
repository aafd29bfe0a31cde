"""Commands about the servers: the embedded stack, psql, and the settings in force."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess

import click
from sqlalchemy.engine import make_url

from bytemeter.settings import PREFIX, Settings
from stack.commands.process import tell
from stack.database import client
from stack.embedded import EmbeddedStack, endpoints
from stack.home import Home


@click.command()
@click.pass_obj
def up(settings: Settings) -> None:
    """Start the embedded Kafka and PostgreSQL, and leave them running."""
    stack = EmbeddedStack(Home(settings.home))
    started = stack.up()
    ready = stack.settings(settings)
    click.echo(f"started {' and '.join(started)}" if started else "already up")
    click.echo(f"Kafka       {ready.kafka}\nPostgreSQL  {make_url(ready.require_database_url()).render_as_string()}")
    click.echo(f"history     {ready.history}")


@click.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop the embedded Kafka and PostgreSQL; their data stay."""
    stopped = EmbeddedStack(Home(settings.home)).down()
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")


@click.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Tell what of the embedded stack is running; exit code 1 if something is down."""
    running = EmbeddedStack(Home(settings.home)).running()
    for name, is_up in running.items():
        click.echo(f"{name:<12}{'up' if is_up else 'down'}")
    if not all(running.values()):
        raise click.exceptions.Exit(1)


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS go to psql, e.g. -c 'select * from usage_hourly'."""
    with endpoints(settings, "database_url", tell=tell) as ready:
        url = make_url(ready.require_database_url())
        login = {
            "PGHOST": url.host, "PGPORT": str(url.port or 5432), "PGUSER": url.username,
            "PGPASSWORD": str(url.password or ""), "PGDATABASE": url.database,
        }  # fmt: skip
        # Ctrl-C is psql's to handle: it cancels the running query.
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            known = {name: value for name, value in login.items() if value}
            done = subprocess.run([client("psql"), *arguments], env={**os.environ, **known}, check=False)
        finally:
            signal.signal(signal.SIGINT, before)
    if done.returncode:
        raise click.exceptions.Exit(1)


@click.command()
@click.pass_obj
def env(settings: Settings) -> None:
    """Print the settings in force as export lines, for other tools; passwords included."""
    with endpoints(settings, tell=tell) as ready:
        values = {
            "HOME": settings.home.absolute(),
            "KAFKA": ready.kafka,
            "DATABASE_URL": ready.database_url.get_secret_value() if ready.database_url else None,
            "HISTORY": ready.history,
        }
    for name, value in values.items():
        if value is not None:
            click.echo(f"export {PREFIX}{name}={shlex.quote(str(value))}")
