"""Events without an event id get one, and nothing else of them changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES, Feed, Field, Text
from bytemeter.web.problems import Problem
from ingest.identities import UsedKeys, identified, new_ids
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
    used = UsedKeys()

    def ids(feed: Feed, client: str, key: str | None) -> Callable[[int], str]:
        return new_ids(feed, client, key, b"body", used)

    new_id = ids(DEVICES, "shop", "key")
    assert [new_id(0), new_id(1)] == [ids(DEVICES, "shop", "key")(place) for place in range(2)]
    makers = [
        ids(DEVICES, "shop", "key"), ids(DEVICES, "shop", "key1"), ids(DEVICES, "game", "key"),
        ids(DATA_RECORDS, "shop", "key"), ids(DEVICES, "shop", None), ids(DEVICES, "shop", None),
    ]  # fmt: skip
    assert len({make(place) for make in makers for place in (0, 1, 11)}) == 3 * len(makers)


def test_an_idempotency_key_is_for_one_body() -> None:
    used = UsedKeys()
    new_ids(DEVICES, "shop", "key", b"body", used)(0)
    new_ids(DEVICES, "shop", "key", b"body", used)(0)
    # A body whose events have ids does not need it.
    new_ids(DEVICES, "shop", "key", b"another", used)
    with pytest.raises(Problem, match="was used for another body; expected a new key") as caught:
        new_ids(DEVICES, "shop", "key", b"another", used)(0)
    assert caught.value.status == 422
    for other in (("game", "key"), ("shop", "key1"), ("shop", None)):
        new_ids(DEVICES, *other, b"another", used)(0)


def test_of_keys_as_many_are_remembered_as_fit() -> None:
    used = UsedKeys(most=2)
    for key, body in (("a", b"1"), ("b", b"2"), ("c", b"3"), ("a", b"4")):
        used.use(key, body)
    with pytest.raises(Problem):
        used.use("c", b"5")


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
