"""The command line: every command of ``bytemeter``, thin over the layers."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from sqlalchemy.engine import make_url

import bytemeter
from bytemeter import logs
from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings, load_settings
from stack.embedded import EmbeddedStack, endpoints
from stack.home import Home

# The layers are imported by the commands that need them: `bytemeter --help` answers at once.


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


@cli.command()
@click.pass_obj
def up(settings: Settings) -> None:
    """Start the embedded Kafka and PostgreSQL, and leave them running."""
    stack = EmbeddedStack(Home(settings.home))
    started = stack.up()
    ready = stack.settings(settings)
    click.echo(f"started {' and '.join(started)}" if started else "already up")
    click.echo(f"Kafka       {ready.kafka}\nPostgreSQL  {make_url(ready.require_database_url()).render_as_string()}")
    click.echo(f"history     {ready.history}")


@cli.command()
@click.pass_obj
def down(settings: Settings) -> None:
    """Stop the embedded Kafka and PostgreSQL; their data stay."""
    stopped = EmbeddedStack(Home(settings.home)).down()
    click.echo(f"stopped {' and '.join(stopped)}" if stopped else "nothing was running")


@cli.command()
@click.pass_obj
def status(settings: Settings) -> None:
    """Tell what of the embedded stack is running; exit code 1 if something is down."""
    running = EmbeddedStack(Home(settings.home)).running()
    for name, is_up in running.items():
        click.echo(f"{name:<12}{'up' if is_up else 'down'}")
    if not all(running.values()):
        raise click.exceptions.Exit(1)


@cli.command()
@click.option("--for", "duration", metavar="DURATION", help="end after e.g. 60s or 5m; by default Ctrl-C ends it")
@click.option("--rate", type=click.FloatRange(min=1), default=200.0, help="records a second")
@click.option("--seed", type=int, default=7, help="seed of the traffic")
@click.pass_obj
def demo(settings: Settings, duration: str | None, rate: float, seed: int) -> None:
    """All of it with simulated traffic, from nothing to figures on the screen."""
    from stack.demo import Demo, seconds

    Demo(settings, rate=rate, seed=seed, seconds=seconds(duration) if duration else None).run()


@cli.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Create or update tables and views, and create missing topics."""
    from stack.setup import prepare

    with endpoints(settings, "kafka", "database_url", tell=_tell) as ready:
        done = prepare(ready)
    click.echo(f"migrations applied: {', '.join(done.migrations) or 'none, all were there'}")
    click.echo(f"topics created: {', '.join(done.topics) or 'none, all were there'}")


@cli.command()
@click.pass_obj
def provision(settings: Settings) -> None:
    """Write the 20 users of the simulated phones, and their quotas."""
    from stack.setup import provision_users

    with endpoints(settings, "database_url", tell=_tell) as ready:
        click.echo(f"users provisioned: {provision_users(ready)}")


@cli.group()
def simulate() -> None:
    """Send seeded, simulated records to a feed's topic."""


@simulate.command("devices")
@click.option(
    "--rate",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    help="records a second of event time, mean over a day",
)
@click.option(
    "--records",
    type=click.IntRange(min=1),
    help="send so many as fast as the client can; without it, at the rate until Ctrl-C",
)
@click.option("--seed", type=int, default=7, help="same seed and start, same records")
@click.option("--subscribers", "devices", type=click.IntRange(min=1), default=20, help="number of devices")
@click.option("--antennas", type=click.IntRange(min=1), default=5)
@click.option(
    "--skew",
    type=click.FloatRange(min=0),
    default=0.8,
    help="Zipf exponent: how much the busiest devices and apps lead",
)
@click.option(
    "--late",
    type=click.FloatRange(0, 1),
    default=0.0,
    help="share of records with an event time 10 min to 3 h past",
)
@click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="share of repeated records")
@click.option("--invalid", type=click.FloatRange(0, 1), default=0.0, help="share of broken records")
@click.option("--event-ids/--no-event-ids", default=True, help="whether records carry an event_id")
@click.option(
    "--start",
    metavar="TIME",
    help="event time of the first record, ISO 8601, UTC; by default now, or such that --records end now",
)
@click.pass_obj
def simulate_devices(settings: Settings, /, start: str | None, records: int | None, **traffic: Any) -> None:
    """Phones that use apps over antennas."""
    from simulator.traffic import Traffic, start_time
    from stack.setup import simulate_feed

    first = start_time(start, records=records, rate=traffic["rate"])
    with endpoints(settings, "kafka", tell=_tell) as ready:
        sent = simulate_feed(ready, Traffic(start=first, records=records, **traffic), _stopped_by_signal())
    click.echo(
        f"sent {sent.records} records: {sent.valid} valid and distinct of {sent.valid_bytes} bytes "
        f"({sent.late} late), {sent.duplicates} duplicates, {sent.invalid} invalid"
    )


@cli.command()
@click.argument("feeds", nargs=-1, metavar="[FEED]...")
@click.option("--once", is_flag=True, help="count what is there and exit")
@click.option("--live/--no-live", default=True, help="count into PostgreSQL")
@click.option("--keep/--no-keep", default=True, help="write the history")
@click.pass_obj
def stream(settings: Settings, feeds: tuple[str, ...], once: bool, live: bool, keep: bool) -> None:
    """Run the live and the history query, of all feeds by default, until Ctrl-C."""
    from bytemeter.feeds import FEEDS, feed_named
    from speed_layer.stream import Streams

    chosen = [feed_named(name) for name in feeds or FEEDS]
    stop = _stopped_by_signal()
    with endpoints(settings, "kafka", "database_url", *(["history"] if keep else []), tell=_tell) as ready:
        Streams(_session(ready), ready, chosen, once=once, live=live, history=keep, stop=stop).run()


@cli.group()
def batch() -> None:
    """Recompute from the history."""


@batch.command()
@click.option("--hour", metavar="HOUR", help="one hour, e.g. 2026-11-21T10 (UTC)")
@click.option("--from", "since", metavar="HOUR", help="first hour of a range")
@click.option("--to", "until", metavar="HOUR", help="the hour after the last one of the range")
@click.option("--dirty", is_flag=True, help="all hours with records that no recompute has seen")
@click.option("--dry-run", is_flag=True, help="show the differences, write nothing")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=300.0,
    help="seconds to wait for the history to hold what was counted",
)
@click.pass_obj
def hourly(
    settings: Settings,
    hour: str | None,
    since: str | None,
    until: str | None,
    dirty: bool,
    dry_run: bool,
    wait_s: float,
) -> None:
    """Recompute bytes per antenna, app, user and e-mail, and the quota breaches, of whole hours."""
    from batch_layer.hourly import HourlyJob
    from batch_layer.hours import chosen_hours
    from bytemeter.feeds import DEVICES

    if [bool(hour), bool(since or until), dirty].count(True) != 1 or bool(since) != bool(until):
        raise click.UsageError("give one of --hour HOUR, --from HOUR --to HOUR, or --dirty")
    hours = chosen_hours(hour=hour, since=since, until=until)
    with endpoints(settings, "database_url", "history", tell=_tell) as ready:
        result = HourlyJob(_session(ready), ready, DEVICES, dry_run=dry_run, wait_s=wait_s).run(hours)
    for d in result.differences if dry_run else ():
        click.echo(f"{d.timestamp:%Y-%m-%dT%H} {d.type} {d.id}: {d.before} -> {d.after}")
    verb = "would change" if dry_run else "changed"
    click.echo(f"{result.hours} hours recomputed, {verb} {result.changed} totals; {result.breaches} quota breaches")


@cli.command(context_settings={"ignore_unknown_options": True, "help_option_names": []})
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def psql(settings: Settings, arguments: tuple[str, ...]) -> None:
    """Open psql on the database; ARGUMENTS go to psql, e.g. -c 'select * from usage_hourly'."""
    from stack.database import client

    with endpoints(settings, "database_url", tell=_tell) as ready:
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


@cli.command()
@click.pass_obj
def env(settings: Settings) -> None:
    """Print the settings in force as export lines, for other tools; passwords included."""
    with endpoints(settings, tell=_tell) as ready:
        values = {
            "HOME": settings.home.absolute(),
            "KAFKA": ready.kafka,
            "DATABASE_URL": ready.database_url.get_secret_value() if ready.database_url else None,
            "HISTORY": ready.history,
        }
    for name, value in values.items():
        if value is not None:
            click.echo(f"export {PREFIX}{name}={shlex.quote(str(value))}")


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


def _tell(message: str) -> None:
    click.echo(f"bytemeter: {message}", err=True)


def _session(settings: Settings) -> Any:
    from bytemeter.spark import local_session

    gcs = (settings.history or "").startswith("gs://")
    return local_session("bytemeter", logs=settings.home / "logs", memory=settings.driver_memory, gcs=gcs)


def _stopped_by_signal() -> threading.Event:
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()

    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, end)
    return stop
