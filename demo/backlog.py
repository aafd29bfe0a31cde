"""Two months of simulated traffic, counted and recomputed at once: data for the notebooks."""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, replace

from pyspark.sql import SparkSession

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob
from batch_layer.months import Month
from bytemeter.errors import BytemeterError
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, TELEMETRY, TELEMETRY_BATCHES, Feed
from bytemeter.postgres import database
from bytemeter.settings import Settings
from demo.figures import read_figures
from simulator.agreements import AgreementSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.sending import Simulated, simulate
from simulator.telemetry import TelemetrySimulation
from simulator.traffic import DAY_S, Rhythm, Traffic
from speed_layer.stream import Streams

_DISTURBED = Traffic(start=0, late=0.02, duplicates=0.015, invalid=0.005)

# The first billing period is a short one, the second a whole one, the third still runs.
_PLAN_DAYS = 65
_SUBSCRIBERS, _PLAN_RECORDS = 300, 180_000
# Their records come before any agreement of theirs.
_WITHOUT_AGREEMENT = 5

_DEVICE_RECORDS, _DEVICE_RATE = 40_000, 0.25
# What is received after the last recompute, at night in about three hours; some of it is late.
_LAST_RECORDS = 1_200
# Duplicates are up to six hours younger than their first records: with two hours, some of them count until the
# recompute finds them. Micro-batches are small, because one micro-batch has one horizon.
_OF_DEVICES = {"identity_horizon_s": 7_200.0, "max_records_per_batch": 5_000}
# Of apps: so many events in two hours of each of three days.
_APP_DAYS, _APP_EVENTS, _APP_S, _APP_DEVICES = 3, 6_000, 7_200, 400


@dataclass(frozen=True)
class Backlog:
    """Two months of subscribers' records, two days of phones' and three of apps', which end at ``until``.

    All of it is counted live. The phones' records are recomputed by the hour, except those of the last hours, and the
    subscribers' last whole month is recomputed.

    Attributes:
        until: the end of the traffic, a full hour that is not in the future.
    """

    session: SparkSession
    settings: Settings
    until: dt.datetime
    seed: int = 7

    def fill(self) -> None:
        """Send, count and recompute.

        Raises:
            BytemeterError: records were counted here before, or a server refused the work.
            TransientError: a server cannot be reached.
        """
        self._require_empty()
        self.subscribers()
        self.phones()
        self.apps()

    def subscribers(self) -> None:
        """Agreements and data records of two months, and the recompute of the last whole month."""
        self._send(self._agreements(), self._data_records())
        self._count(self.settings, AGREEMENTS, DATA_RECORDS)
        last = self.until.replace(day=1) - dt.timedelta(days=1)
        MonthlyJob(self.session, self.settings, Month(last.year, last.month), self.until).run()

    def phones(self) -> None:
        """Records of phones of two days, recomputed before those of the last hours come."""
        settings = self.settings.model_copy(update=_OF_DEVICES)
        self._send(self._devices(before=True))
        self._count(settings, DEVICES)
        HourlyJob(self.session, self.settings, DEVICES).run()
        self._send(self._devices(before=False))
        self._count(settings, DEVICES)

    def apps(self) -> None:
        """Telemetry's batches of some hours on three days, and their events."""
        for day in reversed(range(_APP_DAYS)):
            start = self.until.timestamp() - day * DAY_S - _APP_S
            traffic = self._traffic(start, _APP_EVENTS / _APP_S, _APP_EVENTS, _APP_DEVICES)
            self._send(TelemetrySimulation(replace(traffic, seed=self.seed + day)))
        for feed in (TELEMETRY_BATCHES, TELEMETRY):
            self._count(self.settings, feed)

    def _require_empty(self) -> None:
        counted = read_figures(database(self.settings.require_database_url())).counted
        if counted:
            raise BytemeterError(
                f"{counted} records were counted here before; two months of traffic need an empty place: give e.g. "
                "`bytemeter --home .bytemeter-notebooks demo --backlog`"
            )

    def _send(self, *simulated: Simulated) -> None:
        for each in simulated:
            simulate(self.settings, each, threading.Event(), paced=False)

    def _count(self, settings: Settings, *feeds: Feed) -> None:
        Streams(self.session, settings, feeds, once=True).run()

    def _agreements(self) -> AgreementSimulation:
        start = self.until - dt.timedelta(days=_PLAN_DAYS)
        return AgreementSimulation(_SUBSCRIBERS, self.seed, start, start.timestamp(), invalid=0.01)

    def _data_records(self) -> DataRecordSimulation:
        """Whole days, so that the mean rate leads from the start of the service to the end."""
        seconds = _PLAN_DAYS * DAY_S
        start, subscribers = self.until.timestamp() - seconds, _SUBSCRIBERS + _WITHOUT_AGREEMENT
        return DataRecordSimulation(self._traffic(start, _PLAN_RECORDS / seconds, _PLAN_RECORDS, subscribers))

    def _devices(self, *, before: bool) -> DeviceSimulation:
        """The phones' records: those before the last recompute, or those after it."""
        past = Rhythm(self.until.timestamp(), _DEVICE_RATE)
        past.rewind(_LAST_RECORDS)
        if not before:
            return DeviceSimulation(self._traffic(past.now, past.rate, _LAST_RECORDS))
        past.rewind(_DEVICE_RECORDS)
        return DeviceSimulation(self._traffic(past.now, past.rate, _DEVICE_RECORDS))

    def _traffic(self, start: float, rate: float, records: int, subscribers: int = 20) -> Traffic:
        return replace(_DISTURBED, start=start, rate=rate, records=records, seed=self.seed, subscribers=subscribers)
