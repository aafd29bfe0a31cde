"""The demo's traffic: records of the past at the first start, then records at the pace of the clock."""

from __future__ import annotations

import datetime as dt
import threading
import time
from dataclasses import dataclass, replace

from bytemeter.settings import Settings
from simulator.agreements import AgreementSimulation
from simulator.billable_events import BillableEventSimulation
from simulator.data_records import DataRecordSimulation
from simulator.devices import DeviceSimulation
from simulator.sending import pace_of, simulate
from simulator.telemetry import Shares, TelemetrySimulation
from simulator.traffic import DAY_S, Rhythm, Traffic

# In each hour of the past a sixth of what comes live: enough to be seen beside it, and counted in seconds.
_PAST_RECORDS = 150_000
_PAST_RATE = 15.0
_PLAN_RECORDS = 15_000
_PLAN_SUBSCRIBERS = 200
_PLAN_SHARE = 0.2
_CUSTOMERS, _BILLED_RECORDS, _BILLED_SHARE = 10, 3_000, 0.04
_APP_DEVICES, _APP_SHARE, _APP_PAST_RATE, _APP_PAST_EVENTS = 100, 0.05, 1.0, 6_000
_APP_SHARES = Shares(unknown=0.005, too_large=0.0005, repeated=0.01)
_LATE_AGREEMENTS, _LATE_BY_S = 0.1, 20.0
_DISTURBED = Traffic(start=0, late=0.01, duplicates=0.01, invalid=0.005)


@dataclass
class Feeding:
    """Simulated phones and subscribers.

    Attributes:
        rate: records of ``devices`` a second; of ``data-records`` a fifth of it, of telemetry a twentieth, of
            ``billable-events`` a 25th.
        fill: whether to send records of the past first.
        stop: set from another thread to end.
    """

    settings: Settings
    rate: float
    seed: int
    fill: bool
    stop: threading.Event

    def devices(self) -> None:
        """Send records of ``devices``: of the last hours if ``fill``, then live."""
        now = time.time()
        live = replace(_DISTURBED, start=now, rate=self.rate, seed=self.seed)
        if self.fill:
            past = Rhythm(now, _PAST_RATE)
            past.rewind(_PAST_RECORDS)
            filled = replace(live, start=past.now, rate=_PAST_RATE, records=_PAST_RECORDS)
            simulate(self.settings, DeviceSimulation(filled), self.stop, **pace_of(filled))
        simulate(self.settings, DeviceSimulation(live), self.stop, **pace_of(live))

    def plans(self) -> None:
        """Send ``data-records``: of the month so far if ``fill``, then live. Meanwhile send ``agreements``."""
        now = time.time()
        agreements = threading.Thread(target=self._agreements, args=(now,))
        agreements.start()
        live = replace(
            _DISTURBED, start=now, rate=_PLAN_SHARE * self.rate, seed=self.seed, subscribers=_PLAN_SUBSCRIBERS
        )
        if self.fill:
            filled = _month_so_far(live, now, _PLAN_RECORDS)
            simulate(self.settings, DataRecordSimulation(filled), self.stop, **pace_of(filled))
        simulate(self.settings, DataRecordSimulation(live), self.stop, **pace_of(live))
        agreements.join()

    def billing(self) -> None:
        """Send ``billable-events``: of the month so far if ``fill``, then live."""
        now = time.time()
        live = replace(_DISTURBED, start=now, rate=_BILLED_SHARE * self.rate, seed=self.seed, subscribers=_CUSTOMERS)
        if self.fill:
            filled = _month_so_far(live, now, _BILLED_RECORDS)
            simulate(self.settings, BillableEventSimulation(filled), self.stop, **pace_of(filled))
        simulate(self.settings, BillableEventSimulation(live), self.stop, **pace_of(live))

    def apps(self) -> None:
        """Send batches of telemetry: of the last hours if ``fill``, then live."""
        now = time.time()
        live = replace(
            _DISTURBED, start=now, rate=_APP_SHARE * self.rate, seed=self.seed, subscribers=_APP_DEVICES, late=0.0
        )
        if self.fill:
            past = Rhythm(now, _APP_PAST_RATE)
            past.rewind(_APP_PAST_EVENTS)
            filled = replace(live, start=past.now, rate=_APP_PAST_RATE, records=_APP_PAST_EVENTS)
            simulate(self.settings, TelemetrySimulation(filled, _APP_SHARES), self.stop, **pace_of(filled))
        simulate(self.settings, TelemetrySimulation(live, _APP_SHARES), self.stop, **pace_of(live))

    def _agreements(self, now: float) -> None:
        start = dt.datetime.fromtimestamp(now // DAY_S * DAY_S, dt.UTC) - dt.timedelta(days=365)
        late = _LATE_AGREEMENTS if self.fill else 0.0
        simulated = AgreementSimulation(_PLAN_SUBSCRIBERS, self.seed, start, now, late, _LATE_BY_S)
        simulate(self.settings, simulated, self.stop, paced=True)


def _month_so_far(live: Traffic, now: float, records: int) -> Traffic:
    """Records of about the month so far, in place of live traffic."""
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    month = today.replace(day=1, hour=0, minute=0, second=0, microsecond=0).timestamp()
    rate = records / max(now - month, DAY_S)
    past = Rhythm(now, rate)
    past.rewind(records)
    return replace(live, start=past.now, rate=rate, records=records)
