"""What executors make of messages to be sent on, at first and when they are read again."""

from __future__ import annotations

import time

import pyarrow as pa

from bytemeter.feeds import TELEMETRY
from bytemeter.telemetry import topics
from speed_layer.executor.blocks import NO_MESSAGES
from speed_layer.executor.outgoing import OUTGOING, Decided, outgoing_again, stage_parts
from speed_layer.executor.telemetry import BatchStage, EventStage
from tests.messages import messages
from tests.telemetry_events import batch, event


def sent(outgoing: pa.Table) -> list[tuple[int, str, str | None]]:
    """Offset, topics and reason of each message."""
    return [(row["record_offset"], row["topics"], row["reason"]) for row in outgoing.to_pylist()]


PRIMARY = f"{topics.UNIQUE} {topics.PRIMARY}"


def test_each_message_becomes_at_least_one_row_valid_or_not() -> None:
    values = [event("START", "a"), b"[]", None, event("SHARE", "b"), event("LOG", "c")]
    parts = stage_parts(EventStage(), messages(*values))
    assert parts["outgoing"].schema == OUTGOING
    assert sent(parts["outgoing"]) == [
        (0, PRIMARY, None), (1, topics.FAILED, "not a JSON object"), (2, topics.FAILED, "tombstone"),
        (3, PRIMARY, None), (3, f"{topics.UNIQUE} {topics.SECONDARY}", None), (4, topics.LOG, None),
    ]  # fmt: skip
    assert parts["identified"].num_rows == 2
    assert stage_parts(EventStage(), NO_MESSAGES)["outgoing"].schema == OUTGOING


def test_a_batch_with_an_id_is_kept_in_case_that_it_is_a_duplicate() -> None:
    with_id = batch(event("START", "a"), params={"msgid": "m"})
    outgoing = stage_parts(BatchStage(), messages(with_id, batch(event("START", "b"))))["outgoing"]
    assert [row[:2] for row in sent(outgoing)] == [
        (0, ""), (0, topics.RAW), (0, topics.LOG), (1, topics.RAW), (1, topics.LOG),
    ]  # fmt: skip
    assert outgoing.column("value")[0].as_py() == with_id


def test_what_was_decided_stands_when_messages_are_read_again() -> None:
    soon = event("START", "soon", ets=time.time_ns() // 1_000_000 + 86_400_000 + 60_000)
    values = [event("START", "a"), soon, event("NOVEL", "mended")]
    first = stage_parts(EventStage(), messages(*values))
    assert [reason for _, _, reason in sent(first["outgoing"])][1] == TELEMETRY.clock_reason
    # The clock does not judge again; and a schema that has come since lets pass what failed, and the reverse.
    as_judged = Decided([(1, 1), (1, 2)], [TELEMETRY.clock_reason, "unknown once"])
    again = outgoing_again(EventStage(), as_judged, messages(*values))["outgoing"]
    assert again.slice(0, 2) == first["outgoing"].slice(0, 2)
    assert sent(again)[2] == (2, topics.FAILED, "unknown once")
    passed = outgoing_again(EventStage(), Decided([], []), messages(*values))["outgoing"]
    assert [reason for _, _, reason in sent(passed)] == [None] * 3
