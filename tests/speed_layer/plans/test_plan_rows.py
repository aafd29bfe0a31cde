"""Messages of data plans as rows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import Row

from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.plans.rows import agreement_rows, record_rows

RECORDS = (
    "partition int, offset long, value binary, id string, internalId string, msisdn string, recordedAt string, "
    "recordedBytes long, epoch_us long, epoch_s long, reason string"
)
AGREEMENTS = (
    "partition int, offset long, value binary, id string, msisdn string, signedAt string, serviceStartAt string, "
    "billingPeriodTimeZone string, maxBytesInBillingPeriod long, thresholds array<long>, anchorDay long, "
    "epoch_s long, reason string"
)
AT = "1970-01-01T01:00:00.000001+01:00[Europe/Warsaw]"

Run = Callable[..., list[Row]]


def record(offset: int, **changes: Any) -> tuple[Any, ...]:
    row = {
        "value": b"raw", "id": f"id-{offset}", "internalId": "i", "msisdn": "48", "recordedAt": AT,
        "recordedBytes": 7, "epoch_us": 1, "epoch_s": 0, "reason": None, **changes,
    }  # fmt: skip
    return (0, offset, *row.values())


def records(run: Run, *data: tuple[Any, ...]) -> list[dict[str, Any]]:
    return sorted(
        (row.asDict() for row in run(record_rows(), list(data), RECORDS)), key=lambda row: row["record_offset"]
    )


def test_a_record_without_a_number_of_its_own_is_told_by_its_id(run: Run) -> None:
    numbered, bare = records(run, record(1), record(2, internalId=None, recordedBytes=5))
    assert [(row["internal_id"], row["value"], row["event_us"], row["msisdn"]) for row in (numbered, bare)] == [
        ("i", 7, 1, "48"),
        ("id-2", 5, 1, "48"),
    ]
    assert bytes(bare["id_hash"]) == hashlib.md5(b"id-2", usedforsecurity=False).digest()


def test_the_content_is_what_a_repeat_must_be_equal_in(run: Run) -> None:
    changed = records(
        run, record(1), record(2, internalId="x"), record(3, recordedBytes=8), record(4, msisdn="49")
    )  # fmt: skip
    one, assigned, other_bytes, other_number = (row["content_hash"] for row in changed)
    assert one == assigned
    assert len({one, other_bytes, other_number}) == 3


def test_invalid_messages_keep_their_bytes(run: Run) -> None:
    bad, refused = records(
        run,
        record(2, value=b"{\xff", reason="not JSON", epoch_s=None, epoch_us=None),
        record(4, reason=REFUSED_BY_CLOCK, epoch_s=9),
    )
    assert (bad["reason"], bytes(bad["payload"]), bad["valid_s"], bad["refused_s"]) == (
        "not JSON",
        b"{\xff",
        None,
        None,
    )
    assert (refused["valid_s"], refused["refused_s"]) == (None, 9)


def test_agreements_are_told_as_documents(run: Run) -> None:
    good = (0, 3, b"raw", "a", "48", AT, AT, "Europe/Warsaw", 100, [50], None, 0, None)
    bad = (0, 4, b"raw", None, "48", AT, AT, "Europe/Warsaw", 100, [50], None, 0, "missing id")
    found = sorted(run(agreement_rows(), [good, bad], AGREEMENTS), key=lambda row: row.record_offset)
    assert json.loads(found[0].agreement) == {
        "id": "a", "msisdn": "48", "signed_us": 1, "start_us": 1, "zone": "Europe/Warsaw", "limit": 100,
        "thresholds": [50],
    }  # fmt: skip
    assert (found[1].agreement, found[1].reason) == (None, "missing id")
