"""Commands for the servers: the embedded stack, Superset, psql, and the settings in force."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import click
from pydantic import SecretStr
from sqlalchemy.engine import make_url

from bytemeter.ending import Interrupted, interruptible, uninterrupted, until_signal
from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings
from cli.commands.process import CALLERS_UMASK, notify
from cli.psql import psql_environment, psql_program
from embedded.home import SUPERSET_PORT, Home
from embedded.stack import EmbeddedStack, embedded, endpoints

if TYPE_CHECKING:
    from serving.dashboards import SupersetClient

# What `env` prints.
_IN_FORCE = (
    *("home", "kafka", "database_url", "history", "kafka_security_protocol", "kafka_sasl_mechanism"),
    *("kafka_sasl_username", "kafka_sasl_password", "kafka_ssl_ca_location", "kafka_ssl_certificate_location"),
)
_PORT = click.option(
    "--port", type=click.IntRange(1, 65_535), default=SUPERSET_PORT, help="of Superset, unless it is running already"
)


@click.command()
@click.option("--dashboards", is_flag=True, help="also start Superset with the dashboards")
@_PORT
@click.pass_obj
def up(settings: Settings, dashboards: bool, port: int) -> None:
    """Start the embedded Kafka and PostgreSQL, and leave them running."""
    stack = EmbeddedStack(Home(settings.home))
    with interruptible():
        started = stack.up()
        ready = stack.settings(settings)
        click.echo(f"started {' and '.join(started)}" if started else "already up")
        click.echo(
            f"Kafka       {ready.kafka}\nPostgreSQL  {make_url(ready.require_database_url()).render_as_string()}"
        )
        click.echo(f"history     {ready.history}")
        if dashboards:
            try:
                _leave_dashboards(stack.home, ready, port)
            except Interrupted:
                stack.take_back(started)
                raise


def _leave_dashboards(home: Home, ready: Settings, port: int) -> None:
    """Start Superset with the dashboards and leave it running, unless a signal ends the start."""
    from bytemeter.prepare import prepare
    from embedded.dashboards import serve_dashboards
    from embedded.superset import SupersetServer

    superset = SupersetServer(home, notify, port)
    was_running = superset.running()
    try:
        prepare(ready)
        _print_dashboards(serve_dashboards(superset, ready, lasting=True))
    except Interrupted:
        if not was_running:
            with uninterrupted():
                superset.stop()
        raise


@click.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop the embedded Kafka, PostgreSQL and Superset; their data stay."""
    from embedded.dashboards import stop_dashboards
    from embedded.superset import SupersetServer

    stack = EmbeddedStack(Home(settings.home))
    superset = SupersetServer(stack.home, notify)
    with until_signal(), uninterrupted():
        reached = not embedded(settings) or stack.running()["postgresql"]
        reading = stack.settings(settings) if reached and embedded(settings) else settings
        stopped = [superset.name] if stop_dashboards(superset, reading) else []
        stopped += stack.down()
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")


@click.command()
@click.option("--dashboards", is_flag=True, help="expect Superset to be up, too")
@click.option("--json", "as_json", is_flag=True, help="print one JSON object")
@click.pass_obj
def status(settings: Settings, dashboards: bool, as_json: bool) -> None:
    """Tell how servers, feeds, recomputes and jobs do; exit code 1 and a line for each thing that is wrong."""
    from serving.status.facts import read_facts
    from serving.status.report import WIDTH, lines, summary
    from serving.status.rules import wrong

    servers = _servers(settings, expect_dashboards=dashboards)
    down = [f"{name} is down; run `bytemeter up`" for name, is_up in servers.items() if not is_up]
    answer: dict[str, object] = {"healthy": not down, "wrong": down}
    if not embedded(settings) or all(servers[name] for name in ("kafka", "postgresql")):
        reading = EmbeddedStack(Home(settings.home)).settings(settings) if embedded(settings) else settings
        facts = read_facts(reading)
        answer = summary(facts, [*down, *wrong(facts)])
    answer["servers"] = servers
    if as_json:
        click.echo(json.dumps(answer))
    else:
        for name, is_up in servers.items():
            click.echo(f"{name:<{WIDTH}}{'up' if is_up else 'down'}")
        for line in lines(answer) if "feeds" in answer else [f"wrong: {line}" for line in down]:
            click.echo(line)
    if not answer["healthy"]:
        raise click.exceptions.Exit(1)


def _servers(settings: Settings, *, expect_dashboards: bool) -> dict[str, bool]:
    """Whether each server of the embedded stack runs, by name; none where the user has endpoints of their own."""
    from embedded.superset import SupersetServer

    home = Home(settings.home)
    superset = SupersetServer(home, notify)
    running = EmbeddedStack(home).running() if embedded(settings) else {}
    if expect_dashboards or superset.running():
        running[superset.name] = superset.running()
    return running


@click.command()
@_PORT
@click.pass_obj
def dashboards(settings: Settings, port: int) -> None:
    """Serve the dashboards by Superset until Ctrl-C; into a Superset that runs already they are imported again."""
    with until_signal() as signals:
        from embedded.dashboards import serve_dashboards, stop_dashboards
        from embedded.superset import SupersetServer

        superset = SupersetServer(Home(settings.home), notify, port)
        was_running = superset.running()
        with endpoints(settings, "database_url", notify=notify) as ready:
            try:
                _print_dashboards(serve_dashboards(superset, ready))
                if not was_running:
                    click.echo("Ctrl-C ends it")
                    signals.stop.wait()
            finally:
                if not was_running:
                    with uninterrupted():
                        stop_dashboards(superset, ready)


def _print_dashboards(superset: SupersetClient) -> None:
    click.echo(f"dashboards  {superset.url} (user {superset.user}, password {superset.password})")
    for url in superset.dashboards():
        click.echo(f"            {url}")


@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def psql(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS go to psql, e.g. -c 'select * from usage_hourly'."""
    settings: Settings = context.obj
    with interruptible(), endpoints(settings, "database_url", notify=notify) as ready:
        program, known = psql_program(ready, embedded=embedded(settings)), psql_environment(ready)
        code = _run_attended([str(program), *arguments], known, context.meta.get(CALLERS_UMASK, -1))
    if code < 0:
        raise BytemeterError(f"psql was ended by {signal.Signals(-code).name}")
    if code:
        raise click.exceptions.Exit(1)


def _run_attended(command: Sequence[str], variables: Mapping[str, str], umask: int) -> int:
    """Run a program that has the terminal, and hand on the signals that end this command; returns its exit code.

    Ctrl-C is the program's to handle, to which the terminal sends it, too: psql cancels the running query.
    """
    with uninterrupted():
        program = subprocess.Popen(command, env={**os.environ, **variables}, umask=umask)
        handlers: dict[signal.Signals, Callable[[int, object], None]] = {
            signal.SIGINT: lambda *_: None,
            signal.SIGTERM: lambda number, _: program.send_signal(number),
            signal.SIGHUP: lambda number, _: program.send_signal(number),
        }
        # A signal that is ignored, as by nohup, stays so.
        before = {number: signal.getsignal(number) for number in handlers if signal.getsignal(number) != signal.SIG_IGN}
        for number in before:
            signal.signal(number, handlers[number])
        try:
            return program.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@click.command()
@click.pass_obj
def env(settings: Settings) -> None:
    """Print the settings in force as export lines, for other tools; lines with a password end in `# secret`."""
    with interruptible(), endpoints(settings, notify=notify) as ready:
        shown = ready.model_copy(update={"home": settings.home.absolute()})
    values = {name: getattr(shown, name) for name in _IN_FORCE if getattr(shown, name) is not None}
    # Secrets last: a shell that joins the lines takes what follows a mark for a comment.
    for name, value in sorted(values.items(), key=lambda item: isinstance(item[1], SecretStr)):
        secret = isinstance(value, SecretStr)
        text = shlex.quote(value.get_secret_value() if secret else str(value))
        click.echo(f"export {PREFIX}{name.upper()}={text}{'  # secret' if secret else ''}")
