"""Which messages are read all together: a proof that must hold for each of them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, DEVICES
from bytemeter.parsing.canonical import canonical, canonical_fields
from bytemeter.parsing.single import single_fields
from tests.bytemeter.test_parsing import GOOD, text
from tests.bytemeter.test_plan_parsing import agreement, record

_TEXTS = st.text(max_size=12)
_NUMBERS = st.integers(-(2**70), 2**70) | st.floats() | st.booleans() | st.none() | _TEXTS


def values(*messages: bytes | None) -> pa.BinaryArray:
    return pa.array(messages, pa.binary())


def test_messages_as_machines_write_them_are_canonical() -> None:
    assert canonical(DEVICES, values(text(), text(event_id="e"), json.dumps(GOOD).encode())).to_pylist() == [True] * 3
    assert canonical(
        DEVICES, values("".join(('{"bytes":1,"timestamp":2,"app":"微信 ż𝄞","id":"u","antenna_id":"a"}',)).encode())
    ).to_pylist() == [True]
    assert canonical(DATA_RECORDS, values(record(), record(internalId=...))).to_pylist() == [True] * 2


def test_of_a_feed_with_lists_none_is() -> None:
    assert canonical(AGREEMENTS, values(agreement())).to_pylist() == [False]


def test_bytes_that_are_no_utf8_are_not() -> None:
    broken = [b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\x80"]
    messages = [text(app="X").replace(b"X", some) for some in broken]
    assert canonical(DEVICES, values(*messages, None)).to_pylist() == [False] * (len(broken) + 1)


@given(bytes_=_NUMBERS, app=_TEXTS, event_id=_TEXTS | st.none(), spaces=st.booleans())
def test_what_is_canonical_is_read_as_if_by_itself(bytes_: Any, app: str, event_id: str | None, spaces: bool) -> None:
    told = {**GOOD, "bytes": bytes_, "app": app, **({} if event_id is None else {"event_id": event_id})}
    separators = (", ", ": ") if spaces else (",", ":")
    messages = values(
        text(),
        json.dumps(told, separators=separators, ensure_ascii=False).encode(errors="surrogatepass"),
        text(event_id="e"),
    )
    together = canonical(DEVICES, messages)
    chosen = messages.filter(together)
    alone = single_fields(DEVICES, chosen.to_pylist())
    assert alone.column("reason").null_count == len(chosen)
    assert canonical_fields(DEVICES, chosen).to_pylist() == alone.drop(["reason"]).to_pylist()
