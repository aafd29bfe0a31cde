"""The commands ``simulate devices``, ``data-records``, ``billable-events``, ``telemetry`` and ``agreements``."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from bytemeter.ending import EndingSignals, until_signal
from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings
from cli.commands.process import notify
from embedded.stack import endpoints

if TYPE_CHECKING:
    from simulator.simulation import Simulation
    from simulator.traffic import Traffic


_Command = Callable[..., None]


@click.group()
def simulate() -> None:
    """Send seeded, simulated records to a feed's topic."""


_SEED = click.option("--seed", type=int, default=7, help="same seed, start and sizes, same records")


def _subscribers(default: int = 20, help_text: str = "how many subscribers") -> Callable[[_Command], _Command]:
    return click.option("--subscribers", type=click.IntRange(min=1), default=default, help=help_text)


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
        help="send this many as fast as the client can; without it, send at the rate until Ctrl-C",
    ),
    _SEED,
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
    click.option("--duplicates", type=click.FloatRange(0, 1), default=0.0, help="share of duplicates"),
    click.option("--invalid", type=click.FloatRange(0, 1), default=0.0, help="share of invalid records"),
    click.option(
        "--start",
        metavar="TIME",
        help="event time of the first record, ISO 8601 (UTC without an offset); by default now,"
        " or early enough that --records end now",
    ),
)


def _of_records(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that the records of every feed have."""
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
    simulation = kind(traffic)
    with until_signal() as signals, endpoints(settings, "kafka", notify=notify) as ready, signals.deferred() as stop:
        send_simulated(ready, simulation, stop, **pace_of(traffic))
    sent = simulation.sent
    click.echo(
        f"sent {sent.records} records: {sent.valid} valid and distinct of {simulation.shown()} "
        f"({sent.late} late), {sent.duplicates} duplicates, {sent.invalid} invalid"
    )
    if traffic.records is not None:
        _require_all(traffic.records, signals)


def _require_all(asked: int, signals: EndingSignals) -> None:
    """Check that no signal came before as many messages were sent as were asked for."""
    if signals.name:
        raise BytemeterError(f"ended by {signals.name} before all {asked} messages were sent; run it again")


@simulate.command("devices")
@_of_records
@_subscribers()
@click.option("--antennas", type=click.IntRange(min=1), default=5)
@click.option("--event-ids/--no-event-ids", default=True, help="whether records carry an event_id")
@click.pass_obj
def simulate_devices(settings: Settings, /, start: str | None, **options: Any) -> None:
    """Phones that use apps over antennas."""
    from simulator.devices import DeviceSimulation

    _simulate_records(settings, DeviceSimulation, start, options)


@simulate.command("data-records")
@_of_records
@_subscribers()
@click.pass_obj
def simulate_data_records(settings: Settings, /, start: str | None, **options: Any) -> None:
    """Usage of the subscribers that `simulate agreements` gives a data plan (same --seed and --subscribers)."""
    from simulator.data_records import DataRecordSimulation

    _simulate_records(settings, DataRecordSimulation, start, options)


@simulate.command("billable-events")
@_of_records
@_subscribers(10, "how many customers")
@click.option("--event-ids/--no-event-ids", default=True, help="whether events carry an event_id")
@click.pass_obj
def simulate_billable_events(settings: Settings, /, start: str | None, **options: Any) -> None:
    """Customers who are billed for messages, data, calls, packs and the rest."""
    from simulator.billable_events import BillableEventSimulation

    _simulate_records(settings, BillableEventSimulation, start, options)


_SHARE = click.FloatRange(0, 1)


@simulate.command("telemetry")
@click.option(
    "--rate", type=click.FloatRange(min=0, min_open=True), default=100.0, help="events a second, mean over a day"
)
@click.option("--records", type=click.IntRange(min=1), help="send so many events as fast as the client can, and end")
@_SEED
@_subscribers(100, "how many devices")
@click.option("--batch", type=click.IntRange(1, 10_000), default=20, help="events of a batch")
@click.option("--duplicates", type=_SHARE, default=0.0, help="share of events, and of batches, that are sent twice")
@click.option("--invalid", type=_SHARE, default=0.0, help="share of invalid events")
@click.option("--unknown", type=_SHARE, default=0.0, help="share of events with an unknown eid")
@click.option("--too-large", type=_SHARE, default=0.0, help="share of events of over 1 MiB")
@click.option("--start", metavar="TIME", help="event time of the first event, ISO 8601; by default as of other feeds")
@click.pass_obj
def simulate_telemetry(
    settings: Settings, rate: float, records: int | None, seed: int, subscribers: int, batch: int, duplicates: float,
    invalid: float, unknown: float, too_large: float, start: str | None,
) -> None:  # fmt: skip
    """Devices that send batches of events, of sessions that make sense."""
    from simulator.sending import pace_of
    from simulator.sending import simulate as send_simulated
    from simulator.telemetry import Shares, TelemetrySimulation
    from simulator.traffic import Traffic, start_time

    first = start_time(start, records=records, rate=rate)
    traffic = Traffic(first, seed, rate, records, subscribers, duplicates=duplicates, invalid=invalid)
    simulated = TelemetrySimulation(traffic, Shares(unknown, too_large, duplicates), batch=batch)
    with until_signal() as signals, endpoints(settings, "kafka", notify=notify) as ready, signals.deferred() as stop:
        send_simulated(ready, simulated, stop, **pace_of(traffic))
    click.echo(f"sent {simulated.sent.records} events in {simulated.shown()}")
    if records is not None:
        _require_all(records, signals)


@simulate.command("agreements")
@_subscribers()
@_SEED
@click.option(
    "--start", metavar="TIME", help="when their service starts, ISO 8601 (UTC without an offset); by default a year ago"
)
@click.option("--late", type=click.FloatRange(0, 1), default=0.0, help="share of late agreements")
@click.option("--late-by", type=click.FloatRange(min=0), default=30.0, help="seconds by which late agreements are late")
@click.option("--invalid", type=click.FloatRange(0, 1), default=0.0, help="share of invalid messages")
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
    with until_signal() as signals, endpoints(settings, "kafka", notify=notify) as ready, signals.deferred() as stop:
        send_simulated(ready, simulated, stop, paced=True)
    sent = simulated.sent
    click.echo(f"sent {sent.records} agreements ({sent.late} late), {sent.invalid} of them invalid")
    _require_all(subscribers, signals)
