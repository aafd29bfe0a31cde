"""Messages of data plans as runs to be staged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from pyspark.sql import DataFrame, Row

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS
from bytemeter.parsing import REFUSED_BY_CLOCK
from speed_layer.plans.staging import facts, gather

RECORDS = (
    "partition int, offset long, value binary, id string, internalId string, msisdn string, recordedAt string, "
    "recordedBytes long, epoch_s long, reason string"
)
AGREEMENT_ROWS = (
    "partition int, offset long, value binary, id string, msisdn string, signedAt string, serviceStartAt string, "
    "billingPeriodTimeZone string, maxBytesInBillingPeriod long, thresholds array<long>, anchorDay long, "
    "epoch_s long, reason string"
)
AT = "1970-01-01T01:00:00.000001+01:00[Europe/Warsaw]"

Run = Callable[..., list[Row]]


def record(partition: int, offset: int, **changes: Any) -> tuple[Any, ...]:
    row = {
        "value": b"raw", "id": f"id-{offset}", "internalId": "i", "msisdn": "48", "recordedAt": AT,
        "recordedBytes": 7, "epoch_s": 0, "reason": None, **changes,
    }  # fmt: skip
    return (partition, offset, *row.values())


def staged(run: Run, feed: Any, data: list[tuple[Any, ...]], schema: str) -> list[dict[str, Any]]:
    def transform(parsed: DataFrame) -> DataFrame:
        return gather(parsed.transform(facts(feed)))

    found = [row.asDict() for row in run(transform, data, schema, mode="complete")]
    return sorted(found, key=lambda row: (row["partition"], row["records"]))


def test_records_of_a_run_become_one_row_of_arrays(run: Run) -> None:
    data = [record(0, 1), record(0, 2, internalId=None, recordedBytes=5), record(1, 1), record(0, 5_000)]
    other_run, one_run, other_partition = staged(run, DATA_RECORDS, data, RECORDS)
    assert [row["records"] for row in (other_run, one_run, other_partition)] == [1, 2, 1]
    at = {offset: n for n, offset in enumerate(one_run["offsets"])}
    assert sorted(at) == [1, 2]

    def column(name: str) -> list[Any]:
        return [one_run[name][at[1]], one_run[name][at[2]]]

    assert column("recorded_us") == [1, 1]
    assert column("recorded_bytes") == [7, 5]
    assert column("internal_ids") == ["i", "id-2"]
    assert column("id_hashes") == [hashlib.md5(i, usedforsecurity=False).hexdigest() for i in (b"id-1", b"id-2")]
    assert one_run["invalid_offsets"] == one_run["agreements"] == []


def test_the_content_is_what_a_repeat_must_be_equal_in(run: Run) -> None:
    changed = [record(0, 1), record(0, 2, internalId="x"), record(0, 3, recordedBytes=8), record(0, 4, msisdn="49")]
    (row,) = staged(run, DATA_RECORDS, changed, RECORDS)
    contents = dict(zip(row["offsets"], row["content_hashes"], strict=True))
    assert contents[1] == contents[2]
    assert len({contents[n] for n in (1, 3, 4)}) == 3


def test_invalid_messages_keep_their_bytes(run: Run) -> None:
    data = [
        record(0, 1),
        record(0, 2, value=b"{\xff", reason="not JSON", epoch_s=None),
        record(0, 3, value=None, reason="tombstone", epoch_s=None),
        record(0, 4, reason=REFUSED_BY_CLOCK, epoch_s=9),
    ]
    (row,) = staged(run, DATA_RECORDS, data, RECORDS)
    names = ("invalid_offsets", "invalid_reasons", "invalid_payloads", "invalid_times_s")
    assert sorted(zip(*(row[name] for name in names), strict=True)) == [
        (2, "not JSON", "7BFF", None),
        (3, "tombstone", None, None),
        (4, REFUSED_BY_CLOCK, "726177", 9),
    ]
    assert (row["records"], row["offsets"], row["latest_s"]) == (4, [1], 0)


def test_agreements_are_told_as_documents(run: Run) -> None:
    data = [(0, 3, b"raw", "a", "48", AT, AT, "Europe/Warsaw", 100, [50], None, 0, None)]
    (row,) = staged(run, AGREEMENTS, data, AGREEMENT_ROWS)
    assert row["agreement_offsets"] == [3]
    assert json.loads(row["agreements"][0]) == {
        "id": "a", "msisdn": "48", "signed_us": 1, "start_us": 1, "zone": "Europe/Warsaw", "limit": 100,
        "thresholds": [50],
    }  # fmt: skip
