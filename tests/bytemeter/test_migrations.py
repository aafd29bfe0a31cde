"""A database that an earlier version has left with overlapping billing periods is repaired, and says what is to be done."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Connection, text

from bytemeter.migrations import migrate
from bytemeter.plans.periods import periods
from bytemeter.settings import Settings
from tests.databases import database_before

WARSAW, KYIV = ZoneInfo("Europe/Warsaw"), ZoneInfo("Europe/Kyiv")
STORED = text("select period_start, period_end, year, month from billing_periods where time_zone = :zone order by 1")
BROKEN = """
select count(*) from (
    select period_end, lead(period_start) over (partition by time_zone order by period_start) as next_start
    from billing_periods
) as p where next_start <> period_end
"""


def store(connection: Connection, name: str, data: ZoneInfo, *years: int) -> None:
    """Store periods as earlier versions did: all that begin at an instant at which no stored one begins."""
    for period in periods(data, 1, first_year=years[0], last_year=years[-1]):
        connection.execute(
            text("insert into billing_periods values (:zone, 1, :start, :end, :year, :month) on conflict do nothing"),
            {"zone": name, **vars(period)},
        )


# By calendar: the data of the first version and of the second, and for which years the second one stored periods.
CHANGES = {
    "Europe/Warsaw": (WARSAW, KYIV, (2019, 2021)),
    "Europe/Prague": (WARSAW, KYIV, (2020, 2022)),
    "Europe/Vienna": (WARSAW, KYIV, (2018, 2020)),
    "Europe/Sofia": (KYIV, WARSAW, (2019, 2021)),
    "Europe/Riga": (KYIV, WARSAW, (2020, 2022)),
    "Europe/Athens": (KYIV, WARSAW, (2018, 2020)),
}


def test_of_each_month_the_period_that_was_stored_first_stays_and_the_months_are_named(
    place: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with database_before(place, "0035") as engine:
        with engine.begin() as connection:
            store(connection, "Europe/Paris", WARSAW, 2020)
            for name, (first, second, years) in CHANGES.items():
                store(connection, name, first, 2020)
                store(connection, name, second, *years)
            assert connection.scalar(text(BROKEN))
        assert "0035_overlapping_periods" in migrate(engine)
        with engine.begin() as connection:
            assert connection.scalar(text(BROKEN)) == 0
            for name, (first, _, (since, until)) in CHANGES.items():
                stored = connection.execute(STORED, {"zone": name}).all()
                before = [(one.start, one.end) for one in periods(first, 1, first_year=2020, last_year=2020)]
                assert set(before) <= {(start, end) for start, end, *_ in stored}
                months = [(year, month) for year in range(since, until + 1) for month in range(1, 13)]
                assert [(year, month) for *_, year, month in stored] == months
        engine.dispose()
    told = capsys.readouterr().err
    assert "billing periods of Europe/Warsaw with anchor day 1 overlapped from 2019-12 to 2021-01" in told
    assert all(name in told for name in CHANGES)
    assert "Paris" not in told
