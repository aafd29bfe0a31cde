"""What was judged stays judged by the rules of its time, however agreements, clocks and processes change later.

Most tests read what one story has made: each has agreements and numbers of its own in it, so that one start of the
stream, and one monthly run, serve all of them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from pydantic import SecretStr
from pyspark.sql import SparkSession
from sqlalchemy import Engine, make_url, text

from batch_layer.hourly.job import HourlyJob
from batch_layer.monthly.job import MonthlyJob, MonthRecomputed
from batch_layer.months import Month
from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.plans.events import AMENDED, CLOSED, CORRECTED, REACHED
from bytemeter.postgres import database
from bytemeter.settings import Settings
from tests.builders import agreement, record, utc
from tests.messages import device
from tests.networks import PlanNetwork, put

JANUARY, IN_FEBRUARY = Month(2020, 1), utc("2020-02-10")

Send = Callable[..., None]


class Judged(NamedTuple):
    """What a published event says, with the limit by which the period was judged."""

    type: str
    threshold_bytes: int | None
    total: int
    limit: int


OWNED = """
select total_recorded_bytes, status from data_plan_usage
where year = 2020 and month = 1 and latest_recorded_at is not null and agreement_id = :id
"""


@dataclass
class Story:
    """What came of the story's agreements.

    Attributes:
        published: the messages on threshold-events, in order by their key.
        runs: what each of the monthly runs did.
    """

    network: PlanNetwork
    published: list[dict[str, Any]] = field(default_factory=list)
    runs: list[MonthRecomputed] = field(default_factory=list)

    def judged(self, agreement_id: str) -> list[Judged]:
        """The events of an agreement."""
        fields = ("type", "thresholdBytes", "totalRecordedBytes", "maxBytesInBillingPeriod")
        events = (event for event in self.published if event["agreementId"] == agreement_id)
        return [Judged(*(event[name] for name in fields)) for event in events]

    def january(self, agreement_id: str) -> list[tuple[int, str]]:
        """Total and state of an agreement's January."""
        return [(total, status) for total, status in self.network.rows(OWNED, id=agreement_id)]

    def corrected(self, run: int) -> set[str]:
        """The agreements of which a monthly run found other figures."""
        return {difference.agreement_id for difference in self.runs[run].plan_differences}

    def run(self, *, dry_run: bool = False) -> None:
        """Recompute January in February."""
        self.runs.append(self.network.monthly(JANUARY, IN_FEBRUARY, dry_run=dry_run))


@pytest.fixture(scope="module")
def story(shared_place: Settings, spark: SparkSession) -> Story:
    """January is counted and closed; then agreements change, records come late, and January is recomputed."""
    story = Story(PlanNetwork(shared_place, spark))
    network = story.network
    soon = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=26)).isoformat(timespec="seconds")
    put(shared_place, [agreement("q", msisdn="9", maxBytesInBillingPeriod=7)], partition=2, topic="agreements")
    named = {"limit": "1", "moves": "2", "follows": "20", "untold": "3", "lends": "4", "borrows": "40"}
    more = {"dies": "5", "refused": "6", "ends": "7", "ended": "8"}
    network.send(
        [
            *(agreement("q", msisdn="9", maxBytesInBillingPeriod=limit) for limit in (8, 9)),
            *(agreement(id_, msisdn=msisdn) for id_, msisdn in {**named, **more}.items()),
        ],
        [
            record("1", 400, msisdn="1"),
            record("2", 400, "2020-01-10T12:00:00Z", msisdn="2"),
            record("3", 30, "2020-01-19T22:59:59Z", msisdn="2"),
            record("4", 400, msisdn="3"),
            record("5", 400, msisdn="4"),
            record("6", 300, "2020-01-12T00:00:00Z", msisdn="4"),
            record("7", 10, msisdn="40"),
            record("8", 600, msisdn="5"),
            record("9", 5, soon, msisdn="6"),
            record("10", 7, soon, msisdn="6"),
            record("11", 1, msisdn="7"),
            record("12", 400, msisdn="8"),
            record("13", 20, "2020-01-25T12:00:00Z", msisdn="8"),
        ],
    )
    # As if the first refused record came from a clock that was days behind.
    network.rows("update invalid_events set event_time = '2020-01-10' where record_offset = 8 returning 1")
    story.run()
    # As if the monthly run had died before it published its events.
    network.rows(
        "update threshold_events set published_at = null where source = 'batch' and agreement_id = 'dies' returning 1"
    )
    moved, lent, back = "2020-01-20T00:00:00+01:00", "2020-01-11T00:00:00Z", "2020-01-13T00:00:00Z"
    network.send(
        [
            agreement("limit", msisdn="1", maxBytesInBillingPeriod=500, thresholds=[20, 90]),
            agreement("moves", msisdn="30", effectiveFrom=moved),
            agreement("follows", msisdn="2", effectiveFrom=moved),
            agreement("untold", msisdn="31", billingPeriodTimeZone="Pacific/Apia", anchorDay=15),
            agreement("borrows", msisdn="4", effectiveFrom=lent),
            agreement("lends", msisdn="41", effectiveFrom=lent),
            agreement("borrows", msisdn="40", effectiveFrom=back),
            agreement("lends", msisdn="4", effectiveFrom=back),
            agreement("ends", msisdn="7", serviceEndAt="2020-01-20T00:00:00Z", effectiveFrom="2020-01-15T00:00:00Z"),
            agreement("ended", msisdn="8", serviceEndAt="2020-01-20T00:00:00Z", effectiveFrom="2020-01-20T00:00:00Z"),
        ],
        [
            record("14", 5, "2020-01-19T23:00:00Z", msisdn="2"),
            record("15", 1, "2020-01-25T00:00:00Z", msisdn="30"),
            record("16", 2, "2020-01-19T23:59:59Z", msisdn="7"),
            record("17", 4, "2020-01-20T00:00:00Z", msisdn="7"),
        ],
    )
    network.send(
        [],
        [
            record("18", 150, "2020-01-12T00:00:00Z", msisdn="1"),
            record("19", 7, "2020-01-19T00:00:00Z", msisdn="2"),
        ],
    )
    story.run(dry_run=True)
    story.run()
    story.published = network.published()
    return story


def test_a_closed_period_is_judged_by_the_limit_that_it_had(story: Story) -> None:
    assert story.judged("limit") == [
        Judged(CLOSED, None, 400, 1000),
        Judged(REACHED, 500, 550, 1000),
        Judged(AMENDED, None, 550, 1000),
    ]


def test_of_several_messages_with_one_id_the_one_that_kafka_received_last_wins(story: Story) -> None:
    assert story.network.rows("select max_bytes_in_billing_period from agreements where id = 'q'") == [(9,)]


def test_events_of_a_monthly_run_that_died_are_published_by_the_next_start_of_whatever_process(story: Story) -> None:
    assert story.judged("dies") == [
        Judged(REACHED, 500, 600, 1000), Judged(CLOSED, None, 600, 1000), Judged(CLOSED, None, 600, 1000),
    ]  # fmt: skip


def test_a_number_that_moves_in_the_middle_of_a_month_takes_along_only_what_is_recorded_later(story: Story) -> None:
    """The example of docs/data-plans.md, live and recomputed."""
    assert (story.january("moves"), story.january("follows")) == ([(438, "closed")], [(5, "closed")])
    assert not {"moves", "follows"} & story.corrected(1)
    amended = [event for event in story.judged("moves") if event.type == AMENDED]
    assert amended == [Judged(AMENDED, None, 431, 1000), Judged(AMENDED, None, 438, 1000)]
    known = (
        "select id, msisdn, effective_from, holds_until > now() from agreement_versions "
        "where id in ('moves', 'follows') order by id desc, 3"
    )
    start, moved = utc("2019-12-31T23:00:00"), utc("2020-01-19T23:00:00")
    assert story.network.rows(known) == [
        ("moves", "2", start, False), ("moves", "30", moved, True),
        ("follows", "20", start, False), ("follows", "2", moved, True),
    ]  # fmt: skip


def test_a_change_that_does_not_say_from_when_leaves_closed_months_alone(story: Story) -> None:
    assert "untold" not in story.corrected(1)
    assert story.january("untold") == [(400, "closed")]


def test_a_correction_of_the_past_moves_what_was_counted_with_the_next_monthly_run(story: Story) -> None:
    """From the 11th to the 13th the number was another one's."""
    assert story.runs[1].plan_differences == story.runs[2].plan_differences  # of the dry run
    assert {"lends", "borrows"} <= story.corrected(1)
    assert (story.january("lends"), story.january("borrows")) == ([(400, "closed")], [(310, "closed")])
    assert story.judged("lends")[-1] == Judged(AMENDED, None, 400, 1000)
    assert story.judged("borrows")[-1] == Judged(AMENDED, None, 310, 1000)


def test_what_an_agreement_owned_after_its_end_has_no_owner_and_the_account_stays(story: Story) -> None:
    """The example of docs/data-plans.md: of what comes after the end, and of what was counted before it was known."""
    assert (story.january("ends"), story.january("ended")) == ([(3, "closed")], [(400, "closed")])
    assert story.corrected(1) == {"lends", "borrows", "ended"}
    assert story.judged("ended") == [Judged(CLOSED, None, 420, 1000), Judged(AMENDED, None, 400, 1000)]
    assert story.network.rows("select record_offset from unmatched_records") == [(16,)]
    account = "select received, counted, invalid, unmatched from ledger where feed = 'data-records' and received > 0"
    assert story.network.rows(account) == [(19, 16, 2, 1)]
    future = "select count(*) from data_plan_usage where agreement_id in ('ends', 'ended') and status = 'open'"
    assert story.network.rows(future) == [(2,)]  # of the month in which they came, dropped when it ends


def test_what_a_wrong_clock_refused_is_listed_with_the_time_from_which_on_it_can_be_counted(story: Story) -> None:
    """Both look as if they came from the future; the first one did not, the clock was days behind."""
    countable = "select record_offset, countable_at < now() from refused_by_clock order by 1"
    assert story.network.rows(countable) == [(8, True), (9, False)]
    # The recompute leaves out what was refused: it is counted when it is replayed, and not before.
    assert "refused" not in story.corrected(0) | story.corrected(2)


# Whatever a restored backup must come to again. Versions of hours and instants of the clock differ by nature.
FIGURES = {
    "usage": "select agreement_id, period_start, total_recorded_bytes, latest_internal_record_id, status, "
    "max_bytes_in_billing_period, thresholds from data_plan_usage where latest_recorded_at is not null order by 1, 2",
    "last events": "select distinct on (agreement_id, period_start) event_id, encode(payload, 'hex') "
    "from threshold_events order by agreement_id, period_start, sequence desc",
    "other events": "select event_id, encode(payload, 'hex') from threshold_events "
    f"where type not in ('{AMENDED}', '{CORRECTED}') order by 1",
    "owners": "select * from agreement_services order by msisdn, served_from",
    "versions": "select * from agreement_versions order by id, effective_from, received_at",
    "waiting": "select partition, record_offset from unmatched_records order by 1, 2",
    "duplicates": "select feed, partition, record_offset, conflict from duplicate_events order by 1, 2, 3",
    "account": "select feed, partition, next_offset, received, counted, duplicate, invalid, unmatched from ledger "
    "order by 1, 2",
    "bytes": "select type, id, timestamp, value from bytes order by 1, 2, 3",
    "hours": "select type, id, timestamp, value, source from usage_hourly order by 1, 2, 3",
}


def test_a_restored_backup_comes_to_the_same_figures_and_event_ids_beside_a_kafka_and_a_history_that_went_on(
    place: Settings, as_writer: Settings, send_plans: Send, spark: SparkSession, stream: Callable[..., None], put: Any
) -> None:
    """Records are counted again in other micro-batches: of an amendment that is told again the id is the same."""

    def recompute(settings: Settings) -> None:
        stream(DATA_RECORDS, DEVICES, live=False, settings=settings)
        HourlyJob(spark, settings, DEVICES, wait_s=60).run()
        MonthlyJob(spark, settings, JANUARY, IN_FEBRUARY, wait_s=60).run()

    put([device(event_id=str(n)) for n in range(5)])
    send_plans([agreement(), agreement("b", msisdn="49")], [record("1", 400), record("2", 300, msisdn="49")])
    stream(DEVICES, history=False)
    recompute(as_writer)
    url = make_url(place.require_database_url())
    backup = f"{url.database}_backup"
    admin = database(url.set(database="postgres").render_as_string(hide_password=False))
    with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"create database {backup} template {url.database}"))
    try:
        for records in ([record("3", 50)], [record("4", 5), record("5", 700, msisdn="49"), record("1", 400)]):
            send_plans([], records)
        put([device(event_id=str(n)) for n in range(3, 9)])
        stream(DEVICES, AGREEMENTS, DATA_RECORDS, history=False)
        send_plans(
            [agreement("b", msisdn="49", maxBytesInBillingPeriod=7)],
            [record("6", 1, msisdn="49"), record("7", 1, msisdn="50")],
        )
        recompute(as_writer)
        written = make_url(as_writer.require_database_url()).set(database=backup).render_as_string(hide_password=False)
        restored = as_writer.model_copy(update={"database_url": SecretStr(written)})
        stream(DEVICES, AGREEMENTS, DATA_RECORDS, history=False, settings=restored)
        recompute(restored)
        kept = database(url.render_as_string(hide_password=False))
        again = database(url.set(database=backup).render_as_string(hide_password=False))
        for name, figure in FIGURES.items():
            assert _asked(kept, figure) == _asked(again, figure), name
        ids = "select event_id, encode(payload, 'hex') from threshold_events"
        assert set(_asked(again, ids)) < set(_asked(kept, ids))
        kept.dispose()
        again.dispose()
    finally:
        with admin.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.execute(text(f"drop database {backup} with (force)"))


def _asked(engine: Engine, figure: str) -> list[tuple[str, ...]]:
    with engine.begin() as connection:
        return [tuple(map(str, row)) for row in connection.execute(text(figure))]
