"""Messages of a feed with totals as rows."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from bytemeter.feeds import DEVICES, Field, Text
from bytemeter.parsing import parse, valid
from speed_layer.executor.accounts import identity
from speed_layer.executor.totals import totals_parts
from tests.messages import NOW_S, device, messages


def parts(*values: bytes | None) -> dict[str, list[dict[str, Any]]]:
    return {name: rows.to_pylist() for name, rows in totals_parts(DEVICES, messages(*values)).items()}


def test_records_without_an_id_are_added_up_and_records_with_one_become_rows() -> None:
    found = parts(device(bytes=100), device(bytes=20), device(bytes=3, event_id="e"))
    assert {row["type"]: row["value"] for row in found["totals"]} == {
        "antenna_bytes_total": 120, "app_bytes_total": 120, "user_bytes_total": 120,
    }  # fmt: skip
    assert found["hours"] == [{"hour": NOW_S // 3600}]
    (one,) = found["identified"]
    assert {name: one[name] for name in ("partition", "record_offset", "event_us", "bytes", "app")} == {
        "partition": 1, "record_offset": 2, "event_us": NOW_S * 1_000_000, "bytes": 3, "app": "SKYPE",
    }  # fmt: skip


def test_what_was_received_is_accounted_for_by_partition() -> None:
    (account,) = parts(device(), device(timestamp=NOW_S + 5), device(bytes=-1, timestamp=NOW_S + 9), None)["received"]
    assert account == {"partition": 1, "received": 4, "invalid": 2, "latest_us": (NOW_S + 5) * 1_000_000}


def test_an_invalid_message_is_kept_as_received() -> None:
    bad, tombstone = parts(b"{", None)["invalid"]
    assert (bad["record_offset"], bad["reason"], bad["payload"], bad["event_us"]) == (0, "not JSON", b"{", None)
    assert (tombstone["reason"], tombstone["payload"]) == ("tombstone", None)


def test_only_what_the_clock_refused_keeps_its_event_time() -> None:
    ahead = int(time.time()) + 2 * 86_400
    found = parts(device(timestamp=ahead), device(bytes=-1))["invalid"]
    assert [(row["reason"], row["event_us"]) for row in found] == [
        (DEVICES.clock_reason, ahead * 1_000_000),
        ("negative bytes", None),
    ]


def test_an_id_is_told_with_its_time_and_content() -> None:
    contents = [{}, {}, {"bytes": 9}, {"app": "A", "id": "BC"}, {"app": "AB", "id": "C"}]
    found = parts(*(device(event_id="e", **content) for content in contents))["identified"]
    # As a SipHash-2-4 written from its paper has it, mixed by the finalizer of SplitMix64.
    assert {row["id_hash"].hex() for row in found} == {"de7084b91aef70ff6911145ef852d339"}
    one, same, *others = (row["content_hash"] for row in found)
    assert one == same
    assert len({one, *others}) == 4


def test_contents_differ_also_where_a_field_of_the_content_is_missing() -> None:
    """A null in one field must not hide what the others say, or conflicts are not seen."""
    feed = replace(DEVICES, fields=(*DEVICES.fields, Field("roaming", Text(), required=False)))
    values = [device(event_id="e", bytes=size, app=app) for size, app in ((1, "A"), (2, "A"), (1, "B"), (1, "A"))]
    records = valid(parse(feed, messages(*values, device(event_id="e", bytes=1, app="A", roaming="PL"))))
    first, *others, same, roaming = identity(feed, "event_id", records)["content_hash"].to_pylist()
    assert first == same
    assert len({first, roaming, *others}) == 4


def test_no_messages_have_the_columns_of_many() -> None:
    many, none = (totals_parts(DEVICES, them) for them in (messages(device(), device(event_id="e"), b"{"), messages()))
    assert {name: rows.schema for name, rows in many.items()} == {name: rows.schema for name, rows in none.items()}
