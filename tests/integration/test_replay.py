"""After a schema was mended failed events are sent again, each once, whatever ends the command that sends them."""

from __future__ import annotations

import datetime as dt
import json
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession
from sqlalchemy import Engine

from bytemeter.errors import BytemeterError
from bytemeter.feeds import TELEMETRY, with_schemas
from bytemeter.feeds.telemetry import UNKNOWN_EID
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from bytemeter.telemetry.schema_files import ours, read_folder
from cli.main import main
from ingest.replay import replaying
from ingest.replay.notes import Notes, Stretch
from ingest.replay.replaying import Replay, Replayed
from ingest.replay.sending import Sending
from tests.commands import signal_handlers_restored
from tests.telemetry import create_topics, routed
from tests.telemetry_events import event

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]
Stream = Callable[..., None]

ACCOUNT = "select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger where feed = 'telemetry'"
MARKED = """
select record_offset, replayed_at is not null from invalid_events where feed = 'telemetry' order by record_offset
"""
LATELY = Stretch(dt.datetime(2020, 1, 1, tzinfo=dt.UTC), dt.datetime(2100, 1, 1, tzinfo=dt.UTC))
# By their offsets.
EVENTS = [
    event("INTERRUPT", "m0"),
    event("INTERRUPT", "m1", edata={"type": "CALL", "seconds": 3}),
    event("SAFARI", "m2"),
    event("LOG", "m3", edata={"type": "api", "level": "INFO", "message": "m", "host": "h"}),
    b"not JSON",
    event("INTERRUPT", "m5", edata={"type": "CALL", "seconds": "3"}),
    event("START", "m0"),
    event("LOG", "m7", edata={"type": "api", "level": "INFO", "message": "m", "host": "h"}),
    event("START", "m8"),
]


@pytest.fixture
def mended(place: Settings, tmp_path: Path) -> Settings:
    """The place with a kind of events that ours do not have, and two of ours that allow more."""
    folder = tmp_path / "schemas"
    folder.mkdir()
    for eid, name, member in (
        ("INTERRUPT", "seconds", {"type": "number"}),
        ("LOG", "host", {"type": "string"}),
    ):
        schema = json.loads(ours(eid))
        schema["properties"]["edata"]["properties"][name] = member
        (folder / f"{eid}.json").write_text(json.dumps(schema))
    (folder / "SAFARI.json").write_text('{"$ref": "bytemeter:telemetry/parts#/$defs/event"}')
    return place.model_copy(update={"telemetry_schemas": folder})


@pytest.fixture
def replay(spark: SparkSession, as_writer: Settings, mended: Settings) -> Callable[..., Replayed]:
    """Replay all that failed, as the jobs' login, by the mended schemas."""
    feed = with_schemas(TELEMETRY, read_folder(mended.telemetry_schemas))

    def run(stretch: Stretch = LATELY, *, only_failed: bool = True) -> Replayed:
        work = Replay(as_writer, spark, feed, lambda: dt.datetime.now(dt.UTC), threading.Event())
        return work.run(stretch, only_failed=only_failed)

    return run


def sent_again(place: Settings) -> Counter[bytes]:
    """What is on the topic behind the test's events."""
    found = routed(place, topics.RAW)
    return Counter(m.value or b"" for m in found if m.partition or m.offset >= len(EVENTS))


def test_what_a_mended_schema_accepts_is_sent_again_once_and_counted_once(
    place: Settings, as_writer: Settings, mended: Settings, put: Put, stream: Stream, rows: Rows,
    replay: Callable[..., Replayed], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    create_topics(place)
    put(EVENTS, topic=topics.RAW)
    stream(TELEMETRY)
    assert rows(ACCOUNT) == [(9, 2, 1, 6)]

    # The command ends just after Kafka's commit of its first transaction, of two messages.
    monkeypatch.setattr(replaying, "_MESSAGES_AT_ONCE", 2)
    send = Sending.send

    def killed(self: Sending, messages: Any, number: int) -> None:
        send(self, messages, number)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Sending, "send", killed)
        with pytest.raises(KeyboardInterrupt):
            replay()
    assert sent_again(place) == Counter(EVENTS[1:3])
    assert rows(MARKED) == [(1, False), (2, False), (3, False), (4, False), (5, False), (7, False)]

    found = replay(only_failed=False)
    assert (found.sent, found.before, found.absent) == (2, 2, 0)
    assert found.failing == Counter({"not JSON": 1, "/edata/seconds: type": 1})
    # The duplicate passed as one.
    assert (found.passed, found.waiting) == (3, 0)
    assert sent_again(place) == Counter(EVENTS[n] for n in (1, 2, 3, 7))
    assert rows(MARKED) == [(1, True), (2, True), (3, True), (4, False), (5, False), (7, True)]

    again = replay()
    assert (again.sent, again.before, sum(again.failing.values()), again.passed) == (0, 4, 2, None)
    stream(TELEMETRY, settings=as_writer.model_copy(update={"telemetry_schemas": mended.telemetry_schemas}))
    assert rows(ACCOUNT) == [(13, 6, 1, 6)]
    unique = Counter(message.document["mid"] for message in routed(place, topics.UNIQUE))
    assert unique == Counter(["m0", "m1", "m2", "m8"])
    assert sorted(message.document["mid"] for message in routed(place, topics.LOG)) == ["m3", "m7"]


def test_nothing_is_sent_that_waits_for_the_history_or_lies_outside_of_the_stretch(
    place: Settings, put: Put, stream: Stream, replay: Callable[..., Replayed]
) -> None:
    create_topics(place)
    put(EVENTS, topic=topics.RAW)
    stream(TELEMETRY, history=False)
    found = replay(only_failed=False)
    assert (found.sent, found.absent, found.passed) == (0, 6, 0)
    assert [*found.lines("telemetry.raw")][:2] == [
        "0 of 6 failed messages pass now and were sent to telemetry.raw",
        "6 are not in the history yet; run it again once `bytemeter stream` has written them",
    ]
    stream(TELEMETRY, live=False)
    yesterday = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    assert replay(Stretch(LATELY.since, yesterday)) == Replayed()
    assert not sent_again(place)


def test_of_two_replays_the_earlier_one_sends_nothing_more(
    place: Settings, as_writer: Settings, engine: Engine, put: Put, stream: Stream, rows: Rows
) -> None:
    create_topics(place)
    put(EVENTS, topic=topics.RAW)
    stream(TELEMETRY, history=False)
    notes = Notes(engine, "telemetry")
    first, second, third = (Sending(Kafka(as_writer), TELEMETRY) for _ in range(3))
    notes.settle(first.last_number())
    notes.settle(second.last_number())
    notes.intend(7, [(0, 1)])
    with pytest.raises(BytemeterError, match="another replay of telemetry has begun"):
        notes.intend(8, [(0, 2), (0, 1)])
    with pytest.raises(BytemeterError, match="takes nothing more from this replay .* another one has begun"):
        first.send([], 7)
    notes.settle(third.last_number())
    assert rows("select count(*) from invalid_events where replay is not null") == [(0,)]
    assert not sent_again(place)
    for sending in (first, second, third):
        sending.close()


def test_the_command_says_what_passes_and_what_still_fails(
    place: Settings, mended: Settings, put: Put, stream: Stream, capsys: pytest.CaptureFixture[str],
    spark: SparkSession, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    create_topics(place)
    put(EVENTS, topic=topics.RAW)
    stream(TELEMETRY)
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    monkeypatch.setenv("BYTEMETER_HOME", str(place.home))
    history = ["--history", place.require_history()]
    command = ["--kafka", str(place.kafka), "--database-url", place.require_database_url(), *history]
    with signal_handlers_restored():
        assert main([*command, "replay", "telemetry", "--from", "2020-01-01T00:00:00", "--only", "failed"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "0 of 6 failed messages pass now and were sent to telemetry.raw",
            "6 still fail and were not sent:",
            "  4 /edata: additionalProperties",
            f"  1 {UNKNOWN_EID}",
            "  1 not JSON",
        ]
        monkeypatch.setenv("BYTEMETER_TELEMETRY_SCHEMAS", str(mended.telemetry_schemas))
        assert main([*command, "replay", "telemetry", "--from", "2020-01-01T00:00:00"]) == 0
        assert capsys.readouterr().out.splitlines() == [
            "4 of 6 failed messages pass now and were sent to telemetry.raw",
            "2 still fail and were not sent:",
            "  1 not JSON",
            "  1 /edata/seconds: type",
            "3 valid records of that time passed before, and were not sent again",
        ]
        assert main([*command, "replay", "telemetry", "--from", "tomorrow"]) == 1
        assert "'tomorrow' is not a time" in capsys.readouterr().err
