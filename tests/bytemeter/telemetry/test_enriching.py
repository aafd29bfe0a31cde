"""An event and the rows of reference tables become the denormalised event, or nothing."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bytemeter.telemetry.enriching import DROPPED, SKIPPED, Left, Prepared, event_of, joined, prepared, row_of

NOON = dt.datetime(2026, 5, 31, 12, tzinfo=dt.UTC)
ROWS = {
    ("device", "d"): b'{"state":"Karnataka","district_custom":"x","districtcustom":"Bengaluru","Make":"m"}',
    ("device", "declared"): b'{"state":"Karnataka","userdeclared":{"state":"Kerala","district":"Idukki"}}',
    ("user", "u"): b'{"First_Name":"Ann","user_type":"TEACHER","state":"Goa","district":"South"}',
    ("user", "nowhere"): b'{"user_type":"STUDENT","state":""}',
    ("content", "c"): b'{"Content_Type":"Resource","language":["en"]}',
    ("content", "book"): b'{"name":"Book"}',
    ("content", "unit"): b'{"name":"Unit"}',
    ("dialcode", "KLQ2G7"): b'{"Batch_Code":"b1"}',
}
KNOWN = {(reference, id_): row_of(reference, data) for (reference, id_), data in ROWS.items()}


def ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)


def event(**changes: Any) -> bytes:
    base: dict[str, Any] = {"eid": "IMPRESSION", "ets": ms(NOON), "mid": "m", "syncts": ms(NOON), "edata": {"n": 1}}
    return json.dumps(base | changes).encode()


def denormalised(value: bytes) -> dict[str, Any]:
    made = prepared(value, received_us=0)
    assert isinstance(made, bytes)
    found: dict[str, Any] = json.loads(joined(Prepared.of(made), KNOWN))
    return found


def test_an_event_gets_the_rows_of_its_device_user_and_content_with_flags() -> None:
    found = denormalised(
        event(
            context={"did": "d"},
            actor={"id": "u", "type": "User"},
            object={"id": "c", "type": "Content", "rollup": {"l1": "book", "l2": "unit", "l3": "c"}},
            flags={"pp_duplicate": False},
        )
    )
    assert found["devicedata"] == json.loads(ROWS["device", "d"])
    assert found["userdata"] == {"firstname": "Ann", "usertype": "TEACHER", "state": "Goa", "district": "South"}
    assert found["contentdata"] == {"contenttype": "Resource", "language": ["en"]}
    assert (found["collectiondata"], found["l2data"]) == ({"name": "Book"}, {"name": "Unit"})
    assert found["derivedlocationdata"] == {"state": "Goa", "district": "South", "from": "user-profile"}
    names = ("device_denorm", "user_denorm", "content_denorm", "coll_denorm", "l2_denorm", "loc_denorm")
    assert found["flags"] == {"pp_duplicate": False, **dict.fromkeys(names, True)}
    assert "dialcodedata" not in found


def test_a_miss_passes_with_its_flag_and_what_is_not_looked_up_has_none() -> None:
    found = denormalised(event(context={"did": "unknown"}, actor={"id": "nobody", "type": "User"}, object={"id": "x"}))
    names = ("device_denorm", "user_denorm", "content_denorm", "loc_denorm")
    assert found["flags"] == dict.fromkeys(names, False)
    assert not {"devicedata", "userdata", "contentdata", "derivedlocationdata"} & set(found)
    assert denormalised(event()) == json.loads(event())


def test_what_a_producer_writes_where_rows_belong_is_left_out() -> None:
    names = ("devicedata", "userdata", "contentdata", "collectiondata", "l2data", "dialcodedata", "derivedlocationdata")
    forged = event(context={"did": "unknown"}, **{name: {"state": "forged"} for name in names})
    assert denormalised(forged) == denormalised(event(context={"did": "unknown"}))


@pytest.mark.parametrize(
    ("actor", "looked_up"),
    [
        ({"id": "u", "type": "User"}, ["u"]),
        ({"id": "u", "type": "user"}, ["u"]),
        ({"id": "u", "type": "System"}, []),
        ({"id": "anonymous", "type": "User"}, []),
        ({"id": "", "type": "User"}, []),
        ({"id": 7, "type": "User"}, []),
        ("u", []),
    ],
)
def test_only_people_who_are_not_anonymous_are_users(actor: Any, looked_up: list[str]) -> None:
    made = prepared(event(actor=actor), 0)
    assert isinstance(made, bytes)
    assert [id_ for reference, id_ in Prepared.of(made).keys if reference == "user"] == looked_up


@pytest.mark.parametrize("kind", ["DialCode", "qr"])
def test_a_dialcode_is_looked_up_in_upper_case_and_is_no_content(kind: str) -> None:
    found = denormalised(event(object={"id": "klq2g7", "type": kind, "rollup": {"l1": "book"}}))
    assert found["dialcodedata"] == {"batchcode": "b1"}
    assert found["flags"] == {"dialcode_denorm": True, "loc_denorm": False}


@pytest.mark.parametrize(
    ("device", "user", "location"),
    [
        ("declared", "nowhere", {"state": "Kerala", "district": "Idukki", "from": "user-declared"}),
        ("d", "nowhere", {"state": "Karnataka", "district": "Bengaluru", "from": "ip-resolved"}),
        ("d", "u", {"state": "Goa", "district": "South", "from": "user-profile"}),
        ("none", "nowhere", None),
    ],
)
def test_the_location_is_the_users_own_before_that_of_an_address(device: str, user: str, location: Any) -> None:
    found = denormalised(event(context={"did": device}, actor={"id": user, "type": "User"}))
    assert found.get("derivedlocationdata") == location


@pytest.mark.parametrize(
    ("changes", "left"),
    [
        # Three months before the last of May is the last of February.
        ({"ets": ms(dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC))}, None),
        ({"ets": ms(dt.datetime(2026, 2, 28, 12, tzinfo=dt.UTC)) - 1}, DROPPED),
        ({"ets": 1.5e12}, DROPPED),
        ({"eid": "INTERRUPT"}, SKIPPED),
        ({"eid": "SUMMARY"}, SKIPPED),
        ({"eid": "ME_SESSION_SUMMARY"}, SKIPPED),
        ({"eid": "ME_WORKFLOW_SUMMARY"}, None),
    ],
)
def test_old_events_are_dropped_and_summaries_skipped(changes: dict[str, Any], left: str | None) -> None:
    made = prepared(event(**changes), 0)
    assert (made.reason if isinstance(made, Left) else None) == left


@pytest.mark.parametrize("syncts", [ms(NOON), float(ms(NOON)), None, "text", 1e300])
def test_an_ets_after_the_day_on_which_the_event_was_sent_becomes_its_end(syncts: Any) -> None:
    def ets(at: dt.datetime) -> int:
        made = prepared(event(ets=ms(at), syncts=syncts), received_us=1_000 * ms(NOON))
        assert isinstance(made, bytes)
        return int(json.loads(joined(Prepared.of(made), {}))["ets"])

    end = NOON.replace(hour=23, minute=59, second=59, microsecond=999_000)
    assert ets(end) == ms(end)
    assert ets(NOON + dt.timedelta(hours=13)) == ms(end)


def test_other_members_keep_their_bytes_and_an_event_that_would_be_too_large_gets_no_rows() -> None:
    value = b'{"eid":"START","edata":{"a" : 1.50e0,"b":"\\u00e9"},"ets":%d,"context":{"did":"d"}}' % ms(NOON)
    made = prepared(value, 1_000 * ms(NOON))
    assert isinstance(made, bytes)
    assert joined(Prepared.of(made), KNOWN).startswith(value[: value.index(b',"context"')])
    large = {("device", "d"): row_of("device", json.dumps({"state": "x" * 8 * 2**20}).encode())}
    found = json.loads(joined(Prepared.of(made), large))
    assert found["flags"] == {"device_denorm": False, "loc_denorm": False}


@pytest.mark.parametrize("flags", [..., {}, {"pp_duplicate": False}, "none", {"device_denorm": "forged"}])
def test_an_event_that_was_prepared_can_be_had_back(flags: Any) -> None:
    value = event(context={"did": "d"}, **({} if flags is ... else {"flags": flags}))
    made = prepared(value, 0)
    assert isinstance(made, bytes)
    found = json.loads(event_of(made))
    assert found.pop("flags", {}) == (flags if flags == {"pp_duplicate": False} else {})
    assert found == {name: member for name, member in json.loads(value).items() if name != "flags"}
    assert json.loads(joined(Prepared.of(made), KNOWN))["flags"]["device_denorm"] is True
    assert event_of(value) == value


def test_an_event_of_several_lines_stays_whole() -> None:
    value = event(context={"did": "d"}, edata={"n": [1, {"a": 2}]}, flags={"of": {"others": [1, 2]}, "b": True})
    lines = json.dumps(json.loads(value), indent=1).encode()
    assert denormalised(lines) == denormalised(value)
    made = prepared(lines, received_us=0)
    assert isinstance(made, bytes)
    assert json.loads(event_of(made)) == json.loads(value)


TEXTS = st.sampled_from(["", "d", "u", "User", "anonymous", "Content", "QR", "\u00e9\U0001f600", "\0", "f:u"])
ANY = st.one_of(TEXTS, st.none(), st.integers(), st.just([]), st.just({"id": "u", "did": "d"}))


def inner(*names: str) -> st.SearchStrategy[Any]:
    return st.one_of(st.dictionaries(st.sampled_from(names), st.one_of(TEXTS, TEXTS, ANY)), ANY)


@st.composite
def events(draw: st.DrawFn) -> bytes:
    """Events of any shape, compact or not, with their flags anywhere, with members twice or written with escapes."""
    times = st.one_of(
        st.integers(ms(NOON) - 10**10, ms(NOON) + 10**9), st.floats(allow_nan=False, allow_infinity=False), ANY
    )
    values = {
        "eid": TEXTS,
        "ets": times,
        "syncts": times,
        "context": inner("did", "x"),
        "actor": inner("id", "type"),
        "object": inner("id", "type", "rollup"),
        "devicedata": ANY,
        "flags": st.one_of(st.dictionaries(st.sampled_from(["pp_duplicate", "device_denorm"]), st.booleans()), ANY),
        "edata": st.one_of(inner("flags", "devicedata"), st.just({"x": 1, "flags": {"pp_duplicate": True}})),
    }
    names = draw(st.lists(st.sampled_from(list(values)), max_size=9))
    comma, colon = draw(st.sampled_from([(",", ":"), (", ", ": "), (",\n", ":")]))
    escaped = draw(st.sampled_from(["", "", "flags", "devicedata", "did"]))
    members = [json.dumps(name) + colon + json.dumps(draw(values[name]), separators=(comma, colon)) for name in names]
    written = "{" + comma.join(members) + "}" + draw(st.sampled_from(["", "", " "]))
    return (
        written.replace(f'"{escaped}"', f'"\\u00{ord(escaped[0]):x}{escaped[1:]}"').encode()
        if escaped
        else written.encode()
    )


@given(events())
@example(b'{"flags":{"pp_duplicate":true},"eid":"d","flags":{"device_denorm":true}}')
def test_an_event_that_is_read_at_once_becomes_what_its_members_become(value: bytes) -> None:
    """Most events are not taken apart into members: all other ways to write the same event come to the same."""
    made, by_members = prepared(value, 1_000 * ms(NOON)), prepared(apart(value), 1_000 * ms(NOON))
    assert isinstance(made, Left) == isinstance(by_members, Left)
    if isinstance(made, bytes) and isinstance(by_members, bytes):
        first, second = (Prepared.of(found) for found in (made, by_members))
        assert first.lookups == second.lookups
        assert json.loads(first.flags) == json.loads(second.flags)
        assert json.loads(joined(first, KNOWN)) == json.loads(joined(second, KNOWN))
        assert json.loads(event_of(made)) == json.loads(event_of(by_members))


def apart(value: bytes) -> bytes:
    """The same event, so written that it has to be taken apart: it has a member of ours, which is removed again."""
    return b'{"l2data":0' + (b"," if value.strip() != b"{}" else b"") + value.lstrip()[1:]
