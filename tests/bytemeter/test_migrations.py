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


@pytest.mark.parametrize("later", [(2019, 2021), (2020, 2022), (2018, 2020)], ids=["both", "later", "earlier"])
@pytest.mark.parametrize(("first", "second"), [(WARSAW, KYIV), (KYIV, WARSAW)], ids=["east", "west"])
def test_of_each_month_the_period_that_was_stored_first_stays_and_the_months_are_named(
    place: Settings, capsys: pytest.CaptureFixture[str], first: ZoneInfo, second: ZoneInfo, later: tuple[int, ...]
) -> None:
    with database_before(place, "0035") as engine:
        with engine.begin() as connection:
            store(connection, "Europe/Warsaw", first, 2020)
            store(connection, "Europe/Paris", WARSAW, 2020)
            store(connection, "Europe/Warsaw", second, *later)
            assert connection.scalar(text(BROKEN))
        assert "0035_overlapping_periods" in migrate(engine)
        with engine.begin() as connection:
            assert connection.scalar(text(BROKEN)) == 0
            stored = connection.execute(
                text(
                    "select period_start, period_end from billing_periods where time_zone = 'Europe/Warsaw' order by 1"
                )
            ).all()
        expected = [(one.start, one.end) for one in periods(first, 1, first_year=2020, last_year=2020)]
        months = 12 * (max(later[-1], 2020) - min(later[0], 2020) + 1)
        assert (set(expected) <= {tuple(row) for row in stored}, len(stored)) == (True, months)
        engine.dispose()
    told = capsys.readouterr().err
    assert "billing periods of Europe/Warsaw with anchor day 1 overlapped from " in told
    assert "run `bytemeter batch monthly` for these months" in told
    assert "Paris" not in told
