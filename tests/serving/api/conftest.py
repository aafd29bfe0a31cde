"""A usage API over figures of two weeks around the end of summer time, written into the tables as the layers do."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from sqlalchemy import Connection, Engine, text

from bytemeter.plans.agreements import Agreement, take
from bytemeter.plans.events import ThresholdEvent
from bytemeter.postgres import database
from bytemeter.settings import Settings
from tests.apis import serving
from tests.builders import utc

FIVE_MINUTES, HOUR = dt.timedelta(minutes=5), dt.timedelta(hours=1)
APPS = ("SKYPE", "MAIL", "a'; drop table bytes; --", "=1+1", "naïve / ü")


@dataclass
class Figures:
    """Totals of windows of five minutes, by app; and the hours that are recomputed.

    Attributes:
        batch: of recomputed hours what the batch view has: duplicates that were counted live are left out.
    """

    live: dict[tuple[dt.datetime, str], int] = field(default_factory=dict)
    batch: dict[tuple[dt.datetime, str], int] = field(default_factory=dict)
    dirty: set[dt.datetime] = field(default_factory=set)

    @staticmethod
    def drawn(seed: int) -> Figures:
        """Figures from the 20th of October on: of the last days no hour is recomputed, of earlier ones most are."""
        chance, made = random.Random(seed), Figures()
        first = utc("2026-10-20")
        for number in range(14 * 24 * 12):
            start = first + number * FIVE_MINUTES
            hour = start.replace(minute=0)
            if start == hour and (start >= utc("2026-10-31") or chance.random() < 0.1):
                made.dirty.add(hour)
            for app in APPS:
                if chance.random() < 0.2:
                    made.live[start, app] = size = chance.randrange(2**40)
                    if hour not in made.dirty:
                        made.batch[hour, app] = made.batch.get((hour, app), 0) + size - chance.choice((0, 0, size // 2))
        return made

    def write(self, connection: Connection) -> None:
        """Into the tables of both layers."""
        live = [{"id": app, "at": at, "value": value} for (at, app), value in self.live.items()]
        batch = [{"id": app, "at": at, "value": value} for (at, app), value in self.batch.items()]
        hours = [
            {"hour": hour, "seen": None if hour in self.dirty else 1}
            for hour in {at.replace(minute=0) for at, _ in self.live}
        ]
        connection.execute(text("insert into bytes values ('app_bytes_total', :id, :at, :value)"), live)
        connection.execute(text("insert into bytes_hourly values ('app_bytes_total', :id, :at, :value)"), batch)
        connection.execute(
            text(
                "insert into hours (feed, hour, recomputed_version, recomputed_at) values ('devices', :hour, :seen, now())"
            ),
            hours,
        )
        connection.execute(
            text("insert into ledger (feed, partition, topic_id, next_offset) values ('devices', 0, 't', 0)")
        )


@pytest.fixture
def figures(engine: Engine, seed: int) -> Figures:
    """Figures in the test's database."""
    drawn = Figures.drawn(seed)
    with engine.begin() as connection:
        drawn.write(connection)
    return drawn


@contextmanager
def client_of(settings: Settings) -> Iterator[httpx.Client]:
    """A client of a usage API without keys."""
    quick = settings.model_copy(update={"api_requests_per_s": 10_000.0})
    with serving(quick) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
def api(stored: Settings) -> Iterator[httpx.Client]:
    """A client of a usage API over the test's database."""
    with client_of(stored) as client:
        yield client


@pytest.fixture(scope="module")
def shared_api(shared: Settings) -> Iterator[httpx.Client]:
    """A client of a usage API over the module's database."""
    with client_of(shared) as client:
        yield client


@pytest.fixture(scope="module")
def shared_engine(shared: Settings) -> Engine:
    """The module's database."""
    return database(shared.require_database_url())


def subscriber(
    connection: Connection,
    agreement: str,
    msisdn: str,
    *,
    zone: str = "UTC",
    start: dt.datetime | None = None,
    anchor_day: int = 1,
    limit: int = 1_000,
) -> None:
    """An agreement, by default of 1000 bytes a month."""
    start, now = start or utc("2020-01-01"), dt.datetime.now(dt.UTC)
    take(connection, [Agreement(agreement, msisdn, start, start, zone, limit, anchor_day=anchor_day, received_at=now)])


def threshold_event(
    agreement: str,
    period: dt.datetime,
    type_: str,
    *,
    percent: int | None = None,
    total: int = 1_000,
    at: dt.datetime,
    ordinal: int = 0,
    limit: int = 1_000,
) -> ThresholdEvent:
    """An event of an agreement of 1000 bytes a month, unless told."""
    threshold = None if percent is None else limit * percent // 100
    return ThresholdEvent(
        agreement, period.astimezone(dt.UTC), period.year, period.month, "Europe/Warsaw", limit, total, at, "i",
        type_, percent, threshold, ordinal,
    )  # fmt: skip
