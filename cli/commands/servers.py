"""Commands for the servers: the embedded stack, Superset, psql, and the settings in force."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from typing import TYPE_CHECKING

import click
from sqlalchemy.engine import make_url

from bytemeter.ending import stopped_by_signal
from bytemeter.settings import PREFIX, Settings
from cli.commands.process import notify
from embedded.database import client
from embedded.home import SUPERSET_PORT, Home
from embedded.stack import EmbeddedStack, endpoints

if TYPE_CHECKING:
    from serving.dashboards import SupersetClient

_PORT = click.option(
    "--port", type=click.IntRange(1, 65_535), default=SUPERSET_PORT, help="of Superset, unless it is running already"
)


@click.command()
@click.option("--dashboards", is_flag=True, help="also start Superset with the dashboards")
@_PORT
@click.pass_obj
def up(settings: Settings, dashboards: bool, port: int) -> None:
    """Start the embedded Kafka and PostgreSQL, and leave them running."""
    from bytemeter.prepare import prepare
    from embedded.superset import SupersetServer, serve_dashboards

    stack = EmbeddedStack(Home(settings.home))
    started = stack.up()
    ready = stack.settings(settings)
    click.echo(f"started {' and '.join(started)}" if started else "already up")
    click.echo(f"Kafka       {ready.kafka}\nPostgreSQL  {make_url(ready.require_database_url()).render_as_string()}")
    click.echo(f"history     {ready.history}")
    if dashboards:
        prepare(ready)
        _print_dashboards(serve_dashboards(SupersetServer(stack.home, notify, port), ready))


@click.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop the embedded Kafka, PostgreSQL and Superset; their data stay."""
    from embedded.superset import SupersetServer

    home = Home(settings.home)
    superset = SupersetServer(home, notify)
    stopped = [superset.name] if superset.stop() else []
    stopped += EmbeddedStack(home).down()
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")


@click.command()
@click.option("--dashboards", is_flag=True, help="expect Superset to be up, too")
@click.pass_obj
def status(settings: Settings, dashboards: bool) -> None:
    """List the servers of the embedded stack, up or down; exit code 1 if one is down."""
    from embedded.superset import SupersetServer

    home = Home(settings.home)
    running, superset = EmbeddedStack(home).running(), SupersetServer(home, notify)
    if dashboards or superset.running():
        running[superset.name] = superset.running()
    for name, is_up in running.items():
        click.echo(f"{name:<12}{'up' if is_up else 'down'}")
    if not all(running.values()):
        raise click.exceptions.Exit(1)


@click.command()
@_PORT
@click.pass_obj
def dashboards(settings: Settings, port: int) -> None:
    """Serve the dashboards by Superset until Ctrl-C; into a Superset that runs already they are imported again."""
    from embedded.superset import SupersetServer, serve_dashboards

    superset = SupersetServer(Home(settings.home), notify, port)
    was_running, stop = superset.running(), stopped_by_signal()
    with endpoints(settings, "database_url", notify=notify) as ready:
        try:
            _print_dashboards(serve_dashboards(superset, ready))
            if not was_running:
                click.echo("Ctrl-C ends it")
                stop.wait()
        finally:
            if not was_running:
                superset.stop()


def _print_dashboards(superset: SupersetClient) -> None:
    click.echo(f"dashboards  {superset.url} (user {superset.user}, password {superset.password})")
    for url in superset.dashboards():
        click.echo(f"            {url}")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS go to psql, e.g. -c 'select * from usage_hourly'."""
    with endpoints(settings, "database_url", notify=notify) as ready:
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
    with endpoints(settings, notify=notify) as ready:
        values = {
            "HOME": settings.home.absolute(),
            "KAFKA": ready.kafka,
            "DATABASE_URL": ready.database_url.get_secret_value() if ready.database_url else None,
            "HISTORY": ready.history,
        }
    for name, value in values.items():
        if value is not None:
            click.echo(f"export {PREFIX}{name}={shlex.quote(str(value))}")
