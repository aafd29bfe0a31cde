"""Of an invalid message only the beginning goes to the driver, with the length and the digest of all of it."""

from __future__ import annotations

import hashlib
from functools import partial

from bytemeter.feeds import DEVICES
from speed_layer.executor.accounts import with_cut_payloads
from speed_layer.executor.blocks import NO_MESSAGES
from speed_layer.executor.totals import totals_parts
from tests.messages import device, messages

TO_PARTS = partial(totals_parts, DEVICES)


def test_the_payload_is_cut_and_length_and_digest_are_of_the_whole_message() -> None:
    values = ["żółć".encode(), b"{", b"", None]
    invalid = with_cut_payloads(TO_PARTS, 3, messages(device(), *values))["invalid"].to_pylist()
    assert [(row["payload"], row["length"], row["digest"]) for row in invalid] == [
        (b"\xc5\xbc\xc3", 8, hashlib.sha256(values[0] or b"").digest()),
        (b"{", 1, hashlib.sha256(b"{").digest()),
        (b"", 0, hashlib.sha256(b"").digest()),
        (None, None, None),
    ]


def test_other_parts_and_the_columns_stay_as_they_are() -> None:
    for given in (messages(device(), b"garbage"), NO_MESSAGES):
        whole, cut = TO_PARTS(given), with_cut_payloads(TO_PARTS, 2, given)
        assert {name: part.schema for name, part in cut.items()} == {name: part.schema for name, part in whole.items()}
        assert {name: part for name, part in cut.items() if name != "invalid"} == {
            name: part for name, part in whole.items() if name != "invalid"
        }
