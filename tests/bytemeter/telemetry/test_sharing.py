"""A SHARE makes a limited number of SHARE_ITEMs, of a limited number of bytes; one that would make more is invalid."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bytemeter.feeds import TELEMETRY, with_schemas
from bytemeter.parsing import parse
from bytemeter.telemetry.schema_files import ours
from bytemeter.telemetry.sharing import MOST_BYTES, MOST_ITEMS, PLACE
from bytemeter.telemetry.stages import sent_of
from bytemeter.telemetry.validating import SchemaValidator
from tests.messages import messages
from tests.telemetry_events import event

TOO_MANY = f"over {MOST_ITEMS} SHARE_ITEMs"
TOO_LARGE = f"SHARE_ITEMs of over {MOST_BYTES} bytes"


def share(items: int, params: int = 1, **members: Any) -> bytes:
    shared = [{"id": f"do_{n}", "params": [{"transfers": n}] * params} for n in range(items)]
    return event("SHARE", "m", edata={"items": shared}, **members)


def reason(value: bytes, feed: Any = TELEMETRY) -> str | None:
    (found,) = parse(feed, messages(value)).column("reason").to_pylist()
    return found if found is None else str(found)


def made(value: bytes) -> list[int]:
    return [len(outgoing.value or b"") for outgoing in list(sent_of(value, "SHARE"))[1:]]


@pytest.mark.parametrize(("items", "params"), [(MOST_ITEMS, 1), (1, MOST_ITEMS), (10, MOST_ITEMS // 10)])
def test_a_share_of_just_as_many_items_as_may_be_is_valid_and_one_more_is_told_with_its_place(
    items: int, params: int
) -> None:
    assert reason(share(items, params)) is None
    assert len(made(share(items, params))) == MOST_ITEMS
    more = share(items, params).replace(b'"params": [', b'"params": [{}, ', 1)
    assert reason(more) == f"{PLACE}: {TOO_MANY}"
    assert SchemaValidator("SHARE").violations(more) == [{"pointer": PLACE, "violates": TOO_MANY}]


def test_a_large_share_makes_few_items() -> None:
    tags = ["x" * (MOST_BYTES // 20)]
    assert reason(share(19, tags=tags)) is None
    assert sum(made(share(19, tags=tags))) < MOST_BYTES
    assert reason(share(20, tags=tags)) == f"{PLACE}: {TOO_LARGE}"
    assert sum(made(share(20, tags=tags))) > MOST_BYTES


def test_what_is_shared_itself_may_be_large_as_each_item_has_only_its_own() -> None:
    value = event("SHARE", "m", edata={"items": [{"params": [{"title": "x" * 1_000}] * 900}]})
    assert reason(value) is None
    assert sum(made(value)) < MOST_BYTES


def test_the_limit_holds_for_a_schema_of_a_users_own_too() -> None:
    own = json.loads(ours("SHARE"))
    own["properties"]["edata"] = {}
    feed = with_schemas(TELEMETRY, {"SHARE": json.dumps(own)})
    assert reason(share(MOST_ITEMS + 1), feed) == f"{PLACE}: {TOO_MANY}"
    odd = event("SHARE", "m", edata={"items": [5, {"params": 5}]})
    assert (reason(odd, feed), reason(odd)) == (None, "/edata/items/*/params: type; /edata/items/*: type")
