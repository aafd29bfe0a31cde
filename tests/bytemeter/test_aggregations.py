"""Records into totals."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.aggregations import summed, totals
from bytemeter.feeds import BILLABLE_EVENTS, DEVICES, Dimension, Totals, TotalsTable
from bytemeter.feeds.billable_events import TYPES
from bytemeter.feeds.telemetry import TELEMETRY
from bytemeter.plans.periods import first_instant
from bytemeter.windows import FIVE_MINUTES, HOUR, BillingMonth, Window

# The last microsecond of a second.
LAST = 999_999


def records(*rows: tuple[str, str, str, int, int]) -> pa.Table:
    """Records of antenna, app, user, bytes and instant."""
    names = ("antenna_id", "app", "id", "bytes", "event_us")
    return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


FOUR = records(
    ("a1", "SKYPE", "u1", 100, 299_000_000 + LAST),
    ("a1", "SKYPE", "u2", 20, 300_000_000),
    ("a2", "MAPS", "u1", 3, 599_000_000 + LAST),
    ("a1", "MAPS", "u1", 0, 600_000_000),
)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (
            FIVE_MINUTES,
            {
                ("antenna_bytes_total", "a1", 0, 100),
                ("antenna_bytes_total", "a1", 300, 20),
                ("antenna_bytes_total", "a2", 300, 3),
                ("antenna_bytes_total", "a1", 600, 0),
                ("app_bytes_total", "SKYPE", 0, 100),
                ("app_bytes_total", "SKYPE", 300, 20),
                ("app_bytes_total", "MAPS", 300, 3),
                ("app_bytes_total", "MAPS", 600, 0),
                ("user_bytes_total", "u1", 0, 100),
                ("user_bytes_total", "u2", 300, 20),
                ("user_bytes_total", "u1", 300, 3),
                ("user_bytes_total", "u1", 600, 0),
            },
        ),
        (
            HOUR,
            {
                ("antenna_bytes_total", "a1", 0, 120),
                ("antenna_bytes_total", "a2", 0, 3),
                ("app_bytes_total", "SKYPE", 0, 120),
                ("app_bytes_total", "MAPS", 0, 3),
                ("user_bytes_total", "u1", 0, 103),
                ("user_bytes_total", "u2", 0, 20),
            },
        ),
    ],
)
def test_bytes_are_added_up_per_dimension_and_window(window: Window, expected: set[tuple[object, ...]]) -> None:
    once = totals(DEVICES, FOUR, window)
    assert once.num_rows == len(expected)
    assert {tuple(row.values()) for row in once.to_pylist()} == expected
    twice = summed(pa.concat_tables([once, once]))
    assert {tuple(row.values()) for row in twice.to_pylist()} == {(*key, 2 * value) for *key, value in expected}


OPTIONAL = replace(
    DEVICES,
    fields=tuple(replace(field, required=field.name not in ("app", "antenna_id")) for field in DEVICES.fields),
    totals=Totals(
        "bytes",
        (Dimension("app", ("app",)), Dimension("user", ("id",)), Dimension("app_antenna", ("app", "antenna_id"))),
        TotalsTable("bytes", HOUR),
    ),
)


@pytest.mark.parametrize("absent", ["some", "all"])
def test_a_record_without_an_optional_field_is_in_no_total_of_its_dimensions(absent: str) -> None:
    with_app = None if absent == "all" else "MAPS"
    given = pa.table(
        {
            "id": ["u1", "u1", "u2", "u2"],
            "app": pa.array([None, with_app, with_app, None], pa.string()),
            "antenna_id": pa.array(["a1", "a1", None, None], pa.string()),
            "bytes": [1, 20, 300, 4_000],
            "event_us": [0, 1, 2, 3],
        }
    )
    of_apps = set() if absent == "all" else {("app", "MAPS", 0, 320), ("app_antenna", "MAPS/a1", 0, 20)}
    added_up = totals(OPTIONAL, given, HOUR)
    assert {tuple(row.values()) for row in added_up.to_pylist()} == {
        ("user", "u1", 0, 21),
        ("user", "u2", 0, 4_300),
        *of_apps,
    }
    assert added_up.column("id").null_count == 0


@given(st.lists(st.floats(0, 1e6) | st.sampled_from([None, -1.0, 1e300]), min_size=1), st.data())
def test_durations_of_people_are_added_up_exactly_in_any_order(
    durations: list[float | None], data: st.DataObject
) -> None:
    def added_up(given: list[float | None]) -> dict[tuple[str, str], int]:
        columns = {name: pa.array([None] * len(given), pa.string()) for name in TELEMETRY.names}
        columns |= {"duration": pa.array(given, pa.float64()), "event_us": pa.array([0] * len(given))}
        columns |= {"eid": pa.array(["END"] * len(given)), "actor": pa.array(["a"] * len(given))}
        columns["actor_type"] = pa.array(
            [data.draw(st.sampled_from(["User", "System", None])) for _ in given], pa.string()
        )
        people = sum(value == "User" for value in columns["actor_type"].to_pylist())
        rows = totals(TELEMETRY, pa.table(columns), HOUR).to_pylist()
        found = {(row["type"], row["id"]): row["value"] for row in rows}
        assert found.pop(("user", "a"), 0) == people
        assert found.pop(("eid", "END")) == len(given)
        return found

    exact = [round(1_000.0 * value) for value in durations if value is not None and 0 <= value <= 2**40]
    expected = {("eid_milliseconds", "END"): sum(exact)} if exact else {}
    assert added_up(durations) == expected
    assert added_up(data.draw(st.permutations(durations))) == expected


MOST = 10**21 - 1
EVENTS = st.tuples(
    st.sampled_from(["Emma", "Ann/e", "Ann", "e", "100%", "%2F"]),
    st.sampled_from(TYPES),
    st.integers(-MOST, MOST).map(lambda millionths: Decimal(millionths).scaleb(-6)),
    st.integers(946_684_800, 7_258_118_399),
)


@given(st.sampled_from(["UTC", "Europe/Warsaw", "Asia/Kathmandu", "Pacific/Apia"]), st.lists(EVENTS, min_size=1))
def test_of_each_customer_and_month_the_totals_of_the_types_are_that_of_the_customer(
    zone: str, events: list[tuple[str, str, Decimal, int]]
) -> None:
    customers, types, amounts, seconds = zip(*events, strict=True)
    columns = {"customer": customers, "type": types, "event_us": [1_000_000 * at_s for at_s in seconds]}
    amount = pa.array(amounts, pa.decimal128(21, 6))
    rows = totals(BILLABLE_EVENTS, pa.table({**columns, "amount": amount}), BillingMonth(zone)).to_pylist()

    expected: dict[tuple[str, str, int], Decimal] = defaultdict(Decimal)
    for customer, type_, exact, at_s in events:
        local = dt.datetime.fromtimestamp(at_s, ZoneInfo(zone)).date()
        month = int(first_instant(local.replace(day=1), ZoneInfo(zone)).timestamp())
        both = f"{customer.replace('%', '%25').replace('/', '%2F')}/{type_}"
        for key in (("customer", customer, month), ("type", type_, month), ("customer_type", both, month)):
            expected[key] += exact
    assert {(row["type"], row["id"], row["window_s"]): row["value"] for row in rows} == expected
    of_types: dict[tuple[str, int], Decimal] = defaultdict(Decimal)
    for row in rows:
        if row["type"] == "customer_type":
            customer = row["id"].rpartition("/")[0].replace("%2F", "/").replace("%25", "%")
            of_types[customer, row["window_s"]] += row["value"]
    assert of_types == {(row["id"], row["window_s"]): row["value"] for row in rows if row["type"] == "customer"}
