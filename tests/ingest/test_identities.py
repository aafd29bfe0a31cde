"""Events without an event id get one, and nothing else of them changes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Field, Text
from ingest.identities import identified, new_ids
from tests.messages import agreement_document, data_record, device


def test_an_event_without_an_id_gets_one() -> None:
    values = [device(), device(event_id="mine"), b'{"event_id":null}', b" {} \n", data_record(id=...)]
    found = identified(DEVICES, values, {}, "new-{}".format)
    assert [json.loads(value).get("event_id") for value in found] == ["new-0", "mine", "new-2", "new-3", "new-4"]
    assert json.loads(found[0]) == json.loads(device(event_id="new-0"))
    assert json.loads(identified(DATA_RECORDS, values[-1:], {}, "new-{}".format)[0])["id"] == "new-0"


def test_an_id_from_outside_replaces_that_of_the_event() -> None:
    (found,) = identified(DEVICES, [device(event_id="mine")], {0: "theirs"}, str)
    assert json.loads(found)["event_id"] == "theirs"


@pytest.mark.parametrize("value", [b"", b"17", b"{", b"[{}]", b"{}}", b"\xff", b"[" * 100_000])
def test_what_cannot_be_read_stays_as_it_is(value: bytes) -> None:
    assert identified(DEVICES, [value], {}, str) == [value]
    assert identified(DEVICES, [value], {0: "theirs"}, str) in ([value], [b'{,"event_id":"theirs"}'], [b'{},"event_id":"theirs"}'])  # fmt: skip


def test_feeds_without_event_ids_and_ids_inside_other_objects_are_left_alone() -> None:
    assert identified(AGREEMENTS, [agreement_document()], {0: "x"}, str) == [agreement_document()]
    nested = replace(
        DEVICES, fields=(*DEVICES.fields[:-1], Field("event_id", Text(), required=False, path=("params", "id")))
    )
    assert identified(nested, [device()], {0: "x"}, str) == [device()]


def test_an_idempotency_key_gives_the_same_ids_by_place_and_others_to_other_clients_feeds_and_keys() -> None:
    new_id = new_ids(DEVICES, "shop", "key")
    assert [new_id(0), new_id(1)] == [new_ids(DEVICES, "shop", "key")(place) for place in range(2)]
    makers = [
        new_ids(DEVICES, "shop", "key"), new_ids(DEVICES, "shop", "key1"), new_ids(DEVICES, "game", "key"),
        new_ids(DATA_RECORDS, "shop", "key"), new_ids(DEVICES, "shop", None), new_ids(DEVICES, "shop", None),
    ]  # fmt: skip
    assert len({make(place) for make in makers for place in (0, 1, 11)}) == 3 * len(makers)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("event_id"), inner),
)


@settings(max_examples=30)
@given(st.dictionaries(st.text() | st.just("event_id"), JSON), st.booleans())
def test_any_object_keeps_its_members(event: dict[str, object], indented: bool) -> None:
    value = json.dumps(event, indent=2 if indented else None).encode("utf-8", "surrogatepass")
    (found,) = identified(DEVICES, [value], {}, lambda _: "new")
    had = event.get("event_id") is not None
    assert json.loads(found) == (event if had else {**event, "event_id": "new"})
