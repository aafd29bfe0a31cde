"""Commands about the data: prepare, simulate, stream, recompute, and the demo of it all."""

from __future__ import annotations

import datetime as dt
from typing import Any

import click

from bytemeter.settings import Settings
from stack.commands.process import spark_session, stopped_by_signal, tell
from stack.embedded import endpoints

# The layers are imported by the commands that need them: `bytemeter --help` answers at once.


@click.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Create or update tables and views, and create missing topics."""
    from stack.setup import prepare

    with endpoints(settings, "kafka", "database_url", tell=tell) as ready:
        done = prepare(ready)
    click.echo(f"migrations applied: {', '.join(done.migrations) or 'none, all were there'}")
    click.echo(f"topics created: {', '.join(done.topics) or 'none, all were there'}")


@click.command()
@click.pass_obj
def provision(settings: Settings) -> None:
    """Write the 20 users of the simulated phones, and their quotas."""
    from stack.setup import provision_users

    with endpoints(settings, "database_url", tell=tell) as ready:
        click.echo(f"users provisioned: {provision_users(ready)}")


@click.group()
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
    with endpoints(settings, "kafka", tell=tell) as ready:
        sent = simulate_feed(ready, Traffic(start=first, records=records, **traffic), stopped_by_signal())
    click.echo(
        f"sent {sent.records} records: {sent.valid} valid and distinct of {sent.valid_bytes} bytes "
        f"({sent.late} late), {sent.duplicates} duplicates, {sent.invalid} invalid"
    )


@click.command()
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
    stop = stopped_by_signal()
    with endpoints(settings, "kafka", "database_url", *(["history"] if keep else []), tell=tell) as ready:
        Streams(spark_session(ready), ready, chosen, once=once, live=live, history=keep, stop=stop).run()


@click.group()
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
    with endpoints(settings, "database_url", "history", tell=tell) as ready:
        result = HourlyJob(spark_session(ready), ready, DEVICES, dry_run=dry_run, wait_s=wait_s).run(hours)
    for d in result.differences if dry_run else ():
        click.echo(f"{d.timestamp:%Y-%m-%dT%H} {d.type} {d.id}: {d.before} -> {d.after}")
    verb = "would change" if dry_run else "changed"
    click.echo(f"{result.hours} hours recomputed, {verb} {result.changed} totals; {result.breaches} quota breaches")


@batch.command()
@click.option("--month", "named", metavar="MONTH", required=True, help="e.g. 2026-11")
@click.option("--dry-run", is_flag=True, help="show the differences, write and publish nothing")
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=300.0,
    help="seconds to wait for the history to hold what was counted",
)
@click.pass_obj
def monthly(settings: Settings, named: str, dry_run: bool, wait_s: float) -> None:
    """Recompute a month: totals, data plans, thresholds that were missed, periods that are over."""
    from batch_layer.monthly import MonthlyJob
    from batch_layer.months import month_named

    month, now = month_named(named), dt.datetime.now(dt.UTC)
    with endpoints(settings, "kafka", "database_url", "history", tell=tell) as ready:
        result = MonthlyJob(spark_session(ready), ready, month, now, dry_run=dry_run, wait_s=wait_s).run()
    if dry_run:
        for d in result.total_differences:
            click.echo(f"{d.timestamp:%Y-%m} {d.type} {d.id}: {d.before} -> {d.after}")
        for p in result.plan_differences:
            click.echo(f"{month} agreement {p.agreement_id}: {p.before} -> {p.after}")
    verb = "would change" if dry_run else "changed"
    events = ", ".join(f"{count} {type_}" for type_, count in sorted(result.events.items())) or "none"
    click.echo(f"{month}: {verb} {result.totals} totals, {result.plans} billing periods; events: {events}")


@click.command()
@click.option("--for", "duration", metavar="DURATION", help="end after e.g. 60s or 5m; by default Ctrl-C ends it")
@click.option("--rate", type=click.FloatRange(min=1), default=200.0, help="records a second")
@click.option("--seed", type=int, default=7, help="seed of the traffic")
@click.pass_obj
def demo(settings: Settings, duration: str | None, rate: float, seed: int) -> None:
    """All of it with simulated traffic, from nothing to figures on the screen."""
    from stack.demo import Demo, seconds

    Demo(settings, rate=rate, seed=seed, seconds=seconds(duration) if duration else None).run()
