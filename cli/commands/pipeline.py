"""Commands about the data: prepare, simulate, stream, recompute, and the demo of it all."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bytemeter.settings import Settings
from cli.commands.process import spark_session, stopped_by_signal, tell
from embedded.stack import endpoints

if TYPE_CHECKING:
    from simulator.simulation import Simulation
    from simulator.traffic import Traffic

# The layers are imported by the commands that need them: `bytemeter --help` answers at once.


@click.command()
@click.pass_obj
def migrate(settings: Settings) -> None:
    """Create or update tables and views, and create missing topics."""
    from bytemeter.prepare import prepare

    with endpoints(settings, "kafka", "database_url", tell=tell) as ready:
        done = prepare(ready)
    click.echo(f"migrations applied: {', '.join(done.migrations) or 'none, all were there'}")
    click.echo(f"topics created: {', '.join(done.topics) or 'none, all were there'}")


@click.command()
@click.pass_obj
def provision(settings: Settings) -> None:
    """Write the 20 users of the simulated phones, and their quotas."""
    from bytemeter.postgres import database
    from simulator.users import provision as provision_users

    with endpoints(settings, "database_url", tell=tell) as ready:
        click.echo(f"users provisioned: {provision_users(database(ready.require_database_url()))}")


@click.group()
def simulate() -> None:
    """Send seeded, simulated records to a feed's topic."""


_SEED = click.option("--seed", type=int, default=7, help="same seed, start and sizes, same records")
_SUBSCRIBERS = click.option("--subscribers", type=click.IntRange(min=1), default=20, help="how many there are")
_RECORDS = (
    click.option(
        "--rate",
        type=click.FloatRange(min=0, min_open=True),
        default=100.0,
        help="records a second of event time, mean over a day",
    ),
    click.option(
        "--records",
        type=click.IntRange(min=1),
        help="send so many as fast as the client can; without it, at the rate until Ctrl-C",
    ),
    _SEED,
    _SUBSCRIBERS,
    click.option(
        "--skew",
        type=click.FloatRange(min=0),
        default=0.8,
        help="Zipf exponent: how much the busiest subscribers and apps lead",
    ),
    click.option(
        "--late",
        type=click.FloatRange(0, 1),
        default=0.0,
        help="share of records with an event time 10 min to 3 h past",
    ),
    click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="share of repeated records"),
    click.option("--invalid", type=click.FloatRange(0, 1), default=0.0, help="share of broken records"),
    click.option(
        "--start",
        metavar="TIME",
        help="event time of the first record, ISO 8601, UTC; by default now, or such that --records end now",
    ),
)


def _of_records(command: Callable[..., None]) -> Callable[..., None]:
    """The options of every feed of records."""
    for option in reversed(_RECORDS):
        command = option(command)
    return command


def _simulate_records(
    settings: Settings, kind: Callable[[Traffic], Simulation], start: str | None, options: dict[str, Any]
) -> None:
    from simulator.sending import pace_of
    from simulator.sending import simulate as send_simulated
    from simulator.traffic import Traffic, start_time

    first = start_time(start, records=options["records"], rate=options["rate"])
    traffic = Traffic(start=first, **options)
    with endpoints(settings, "kafka", tell=tell) as ready:
        sent = send_simulated(ready, kind(traffic), stopped_by_signal(), **pace_of(traffic))
    click.echo(
        f"sent {sent.records} records: {sent.valid} valid and distinct of {sent.valid_bytes} bytes "
        f"({sent.late} late), {sent.duplicates} duplicates, {sent.invalid} invalid"
    )


@simulate.command("devices")
@_of_records
@click.option("--antennas", type=click.IntRange(min=1), default=5)
@click.option("--event-ids/--no-event-ids", default=True, help="whether records carry an event_id")
@click.pass_obj
def simulate_devices(settings: Settings, /, start: str | None, **options: Any) -> None:
    """Phones that use apps over antennas."""
    from simulator.devices import DeviceSimulation

    _simulate_records(settings, DeviceSimulation, start, options)


@simulate.command("data-records")
@_of_records
@click.pass_obj
def simulate_data_records(settings: Settings, /, start: str | None, **options: Any) -> None:
    """Usage of the subscribers that `simulate agreements` gives a data plan (with the same seed and number)."""
    from simulator.data_records import DataRecordSimulation

    _simulate_records(settings, DataRecordSimulation, start, options)


@simulate.command("agreements")
@_SUBSCRIBERS
@_SEED
@click.option("--start", metavar="TIME", help="when their service starts, ISO 8601, UTC; by default a year ago")
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="share of agreements that come late")
@click.option("--late-by", type=click.FloatRange(min=0), default=30.0, help="seconds by which those are late")
@click.option("--invalid", type=click.FloatRange(0, 1), default=0.0, help="share of broken messages")
@click.pass_obj
def simulate_agreements(
    settings: Settings, subscribers: int, seed: int, start: str | None, late: float, late_by: float, invalid: float
) -> None:
    """Data plans in many time zones, one for each subscriber."""
    from simulator.agreements import AgreementSimulation
    from simulator.sending import simulate as send_simulated
    from simulator.traffic import DAY_S, start_time

    now = time.time()
    since = start_time(start, records=None, rate=1) if start else now - 365 * DAY_S
    service_start = dt.datetime.fromtimestamp(since // DAY_S * DAY_S, dt.UTC)
    simulated = AgreementSimulation(subscribers, seed, service_start, now, late, late_by, invalid)
    with endpoints(settings, "kafka", tell=tell) as ready:
        sent = send_simulated(ready, simulated, stopped_by_signal(), paced=True)
    click.echo(f"sent {sent.records} agreements ({sent.late} late), {sent.invalid} of them invalid")


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


_WAIT = click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=300.0,
    help="seconds to wait for the history to hold what was counted",
)


@click.group()
def batch() -> None:
    """Recompute from the history."""


@batch.command()
@click.option("--hour", metavar="HOUR", help="one hour, e.g. 2026-11-21T10 (UTC)")
@click.option("--from", "since", metavar="HOUR", help="first hour of a range")
@click.option("--to", "until", metavar="HOUR", help="the hour after the last one of the range")
@click.option("--dirty", is_flag=True, help="all hours with records that no recompute has seen")
@click.option("--dry-run", is_flag=True, help="show the differences, write nothing")
@_WAIT
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
    from batch_layer.hourly.job import HourlyJob
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
@_WAIT
@click.pass_obj
def monthly(settings: Settings, named: str, dry_run: bool, wait_s: float) -> None:
    """Recompute a month: totals, data plans, thresholds that were missed, periods that are over."""
    from batch_layer.monthly.job import MonthlyJob
    from batch_layer.months import parse_month

    month, now = parse_month(named), dt.datetime.now(dt.UTC)
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
@click.option("--dashboards/--no-dashboards", default=True, help="Superset with the dashboards; installed at first use")
@click.pass_obj
def demo(settings: Settings, duration: str | None, rate: float, seed: int, dashboards: bool) -> None:
    """All of it with simulated traffic, from nothing to figures on the screen."""
    from demo.demo import Demo, seconds

    lasting = seconds(duration) if duration else None
    Demo(settings, rate=rate, seed=seed, seconds=lasting, dashboards=dashboards).run()
