"""Telemetry from batches to the topics of its kinds, on real servers: each message to its place, once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from bytemeter.feeds import TELEMETRY, TELEMETRY_BATCHES
from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from bytemeter.telemetry import topics
from bytemeter.telemetry.batches import MOST_EVENT_BYTES
from bytemeter.transactions import TransactionalProducer
from simulator.producer import producer, send
from simulator.telemetry import Shares, TelemetrySimulation
from simulator.traffic import Traffic
from speed_layer.routing.router import Router
from tests.messages import NOW_S
from tests.telemetry import SENT_TO, create_topics, mids, routed
from tests.telemetry_events import batch, document, event, nested

Rows = Callable[..., list[tuple[Any, ...]]]
Put = Callable[..., None]
Stream = Callable[..., None]

ACCOUNT = "select sum(received), sum(counted), sum(duplicate), sum(invalid) from ledger where feed = :feed"


@pytest.fixture(autouse=True)
def _topics(place: Settings) -> None:
    create_topics(place)


def test_seventeen_events_each_go_to_their_topics_with_their_flags(
    place: Settings, put: Put, stream: Stream, rows: Rows
) -> None:
    items = [
        {"id": "do_1", "type": "Content", "ver": "1", "params": [{"transfers": 0}, {"transfers": 2}]},
        {"id": "do_2", "type": "Content", "ver": "1", "params": [{"transfers": 1}]},
    ]
    far = (NOW_S + 10 * 365 * 86_400) * 1_000
    invalid = [
        event("NOVEL", "f1"),
        event("START", "f2", ets=str(NOW_S * 1_000)),
        event("START", "f3", ets=far),
        event("START", "f4\0"),
        b"not JSON",
        event("START", "f6", edata=...)[:-1] + b', "edata": ' + nested(10_000) + b"}",
        json.dumps({**document("START", "f7"), "mid": {}}).encode(),
    ]
    valid = [
        event("START", "m1", actor={"id": "f:5:u1", "type": "User"}, ets=NOW_S * 1_000 + 0.5),
        event("AUDIT", "m2"),
        event("SEARCH", "m3", object={"id": "ab12", "type": "DialCode"}),
        event("END", "m4"),
        event("INTERACT", "m5"),
        event("SHARE", "m6", edata={"dir": "Out", "items": items}, object={"id": "do_9", "type": "Content"}),
        event("FEEDBACK", "m7", context={"channel": "c", "env": "e", "pdata": {"id": "p"}, "did": "🏫𝕏"}),
        event("ERROR", "e1"),
        event("LOG", "l1"),
    ]
    put([*valid[:5], *invalid, *valid[5:], event("END", "m4")], topic=topics.RAW)
    stream(TELEMETRY)
    assert rows(ACCOUNT, feed="telemetry") == [(17, 9, 1, 7)]
    sent = {topic: routed(place, topic) for topic in SENT_TO}
    assert {topic: len(messages) for topic, messages in sent.items() if messages} == {
        topics.RAW: 17, topics.UNIQUE: 10, topics.PRIMARY: 6, topics.SECONDARY: 4, topics.AUDIT: 1, topics.LOG: 1,
        topics.ERROR: 1, topics.DUPLICATE: 1, topics.FAILED: 7,
    }  # fmt: skip
    assert dict(rows("select topic, messages from routed_messages where feed = 'telemetry'")) == {
        topic: len(messages) for topic, messages in sent.items() if messages and topic != topics.RAW
    }
    unique = {message.document["mid"]: message for message in sent[topics.UNIQUE]}
    assert {m.document["flags"]["pp_duplicate"] for m in unique.values()} == {False}
    assert {m.document["flags"]["pp_validation_processed"] for m in unique.values()} == {True}
    assert unique["m1"].document["actor"] == {"id": "5:u1", "type": "User"}
    assert unique["m1"].document["ets"] == NOW_S * 1_000 + 0.5
    assert unique["m3"].document["object"]["id"] == "AB12"
    assert unique["m7"].key == "🏫𝕏".encode()
    shared = [m.document for m in unique.values() if m.document["eid"] == "SHARE_ITEM"]
    assert sorted((m["object"]["id"], m["edata"]["type"], m["object"]["rollup"]["l1"]) for m in shared) == [
        ("do_1", "download", "do_9"), ("do_1", "import", "do_9"), ("do_2", "import", "do_9"),
    ]  # fmt: skip
    assert len({m["mid"] for m in shared}) == 3
    assert mids(place, topics.SECONDARY) == sorted(["m5", *(m["mid"] for m in shared)])
    assert mids(place, topics.PRIMARY) == ["m1", "m2", "m3", "m4", "m6", "m7"]
    assert [mids(place, topic) for topic in (topics.AUDIT, topics.LOG, topics.ERROR)] == [["m2"], ["l1"], ["e1"]]
    assert sent[topics.DUPLICATE][0].document["flags"] == {"pp_validation_processed": True, "pp_duplicate": True}
    failed = {int(message.headers["source-offset"]): message for message in sent[topics.FAILED]}
    # Offset 5 is the first of the invalid ones.
    reasons = [failed[offset].headers["reason"].decode() for offset in range(5, 12)]
    assert reasons == [
        "Schema not found: eid looks incorrect, sending to failed", "ets is not a number",
        "timestamp over a day in the future", "NUL in mid", "not JSON", "not JSON", "mid is not a text",
    ]  # fmt: skip
    assert failed[9].value == b"not JSON"
    assert failed[10].value == invalid[5]
    assert failed[5].document["flags"] == {"pp_validation_processed": False}
    assert failed[5].document["metadata"]["src"] == "PipelinePreprocessor"
    assert failed[5].headers["source-topic"].decode() == f"{place.topic_prefix}telemetry.raw"


def test_four_batches_are_split_and_what_fails_of_them_fails_alone(
    place: Settings, put: Put, stream: Stream, rows: Rows
) -> None:
    registration = document("ASSESS", "b1")
    registration["edata"] = {**registration["edata"], "item": {"id": "q", "type": "Registration"}}
    too_large = event("START", "b4", edata={"type": "x" * MOST_EVENT_BYTES})
    first = batch(
        event("START", "a1"), event("LOG", "a2"), json.dumps(registration).encode(), params={"msgid": "m-1", "did": "D"}
    )
    put(
        [
            first,
            batch(event("INTERACT", "b2"), event("AUDIT", "b3"), too_large, event("END", "b5")),
            first,
            b'{"events": [{"eid": "START"',
        ],
        topic=topics.INGEST,
    )
    stream(TELEMETRY_BATCHES)
    assert rows(ACCOUNT, feed="telemetry-batches") == [(4, 2, 1, 1)]
    assert mids(place, topics.RAW) == ["a1", "a2", "b1", "b2", "b3", "b5"]
    audits = (message.document for message in routed(place, topics.LOG))
    audit, other = sorted(audits, key=lambda log: log["edata"]["params"][1]["events_count"])
    assert audit["edata"]["params"][1:] == [{"events_count": 3}, {"events_failed": 0}]
    assert other["edata"]["params"][1:] == [{"events_count": 4}, {"events_failed": 1}]
    assert audit["edata"]["type"] == "telemetry_audit"
    raw = {message.document["mid"]: message.document for message in routed(place, topics.RAW)}
    assert raw["a1"]["flags"] == {"ex_processed": True}
    assert raw["b1"]["edata"]["resvalues"] == []
    (assess,) = routed(place, topics.ASSESS)
    assert assess.document["edata"]["resvalues"] == [{"1": "a"}]
    assert assess.document["syncts"] == raw["b1"]["syncts"]
    (repeated,) = routed(place, topics.DUPLICATE)
    assert repeated.document["flags"] == {"extractor_duplicate": True}
    large, broken = sorted(routed(place, topics.FAILED), key=lambda message: message.headers["source-offset"])
    assert large.document["mid"] == "b4"
    assert large.document["flags"] == {"ex_processed": False}
    assert large.document["metadata"]["src"] == "TelemetryExtractor"
    assert broken.value == b'{"events": [{"eid": "START"'
    assert broken.headers["reason"] == b"not JSON"
    counts = "select dimension, id, sum(value) from event_counts where feed = 'telemetry-batches' group by 1, 2"
    assert sorted(rows(counts)) == [("app", "app", 7), ("channel", "in.school", 7)]
    stream(TELEMETRY, TELEMETRY_BATCHES)
    assert mids(place, topics.UNIQUE) == ["a1", "b1", "b2", "b3", "b5"]
    assert len(routed(place, topics.LOG)) == 3


def test_what_is_large_deep_or_strange_finds_its_place(place: Settings, put: Put, stream: Stream, rows: Rows) -> None:
    planes = "".join(chr(plane << 16 | 0x0E5D) for plane in range(17))
    frame = len(event("START", "fits", edata={"type": ""}))
    fits = event("START", "fits", edata={"type": "x" * (MOST_EVENT_BYTES - frame)})
    over = event("START", "over", edata={"type": "x" * (MOST_EVENT_BYTES - frame + 1)})
    deep = event("START", "deep", edata=...)[:-1] + b', "edata": ' + nested(10_000) + b"}"
    strange = event("START", planes, context={**document("START", "")["context"], "did": planes})
    many = batch(*(event("START", f"m{n}", tags=["x" * 280]) for n in range(10_000)), deep, params={"msgid": "many"})
    assert len(many) > 5_000_000
    unescaped = json.dumps(json.loads(strange), ensure_ascii=False).encode()
    put([fits, over, many, unescaped, strange, many], topic=topics.INGEST)
    stream(TELEMETRY_BATCHES, history=False)
    assert rows(ACCOUNT, feed="telemetry-batches") == [(6, 5, 1, 0)]
    stream(TELEMETRY)
    # As written with escapes and without, the strange event is one event.
    assert rows(ACCOUNT, feed="telemetry") == [(10_003, 10_002, 1, 0)]
    unique = {message.document["mid"]: message for message in routed(place, topics.UNIQUE)}
    assert set(unique) == {"fits", planes, *(f"m{n}" for n in range(10_000))}
    assert unique[planes].key == planes.encode()
    assert len(unique["fits"].value or b"") > MOST_EVENT_BYTES
    failed = [
        (message.headers["reason"].decode(), len(message.value or b"")) for message in routed(place, topics.FAILED)
    ]
    assert sorted(failed)[1] == ("nested too deep", len(deep))
    assert sorted(failed)[0][0] == f"event of {MOST_EVENT_BYTES + 1} bytes, at most {MOST_EVENT_BYTES} are taken"
    repeated = sorted(len(message.value or b"") for message in routed(place, topics.DUPLICATE))
    assert [size > len(many) for size in repeated] == [False, True]
    assert rows("select sum(value) from event_counts where feed = 'telemetry' and dimension = 'eid'") == [(10_002,)]


def test_what_the_simulator_says_becomes_of_its_events_is_what_the_funnel_shows(
    place: Settings, stream: Stream, rows: Rows, seed: int
) -> None:
    traffic = Traffic(start=NOW_S, rate=1, records=2_000, seed=seed, duplicates=0.02, invalid=0.02)
    simulation = TelemetrySimulation(traffic, Shares(unknown=0.02, too_large=0.01, repeated=0.1))
    kafka = Kafka(place)
    send(producer(kafka.librdkafka()), kafka.topic_name(topics.INGEST), simulation.pieces())
    stream(TELEMETRY_BATCHES, history=False)
    stream(TELEMETRY, history=False)
    sent = simulation.sent
    assert min(sent.repeated, sent.invalid, sent.unknown, sent.too_large, sent.duplicates) > 0
    funnel = dict(rows("select name, messages from telemetry_funnel"))
    # Each batch that is no duplicate has an audit LOG, too.
    audits = sent.batches - sent.repeated
    assert {name: funnel[name] for name in ("ingest", "raw", "unique", "log", "error", "duplicate", "failed")} == {
        "ingest": sent.batches, "raw": sent.raw, "unique": sent.unique, "log": sent.logs + audits, "error": sent.errors,
        "duplicate": sent.duplicates + sent.repeated, "failed": sent.invalid + sent.unknown + sent.too_large,
    }  # fmt: skip
    assert [len(routed(place, topic)) for topic in (topics.UNIQUE, topics.DUPLICATE, topics.FAILED)] == [
        funnel[name] for name in ("unique", "duplicate", "failed")
    ]


# Refuses what PostgreSQL is to commit, once all of it is done.
REFUSED = """
create function refuse() returns trigger language plpgsql as $$ begin raise 'refused at the commit'; end $$;
create constraint trigger refused after insert or update on ledger
deferrable initially deferred for each row execute function refuse()
"""


def test_nothing_is_sent_of_a_transaction_that_postgresql_does_not_commit(
    place: Settings, put: Put, stream: Stream, rows: Rows, engine: Engine
) -> None:
    put([event("START", "a"), event("NOVEL", "b"), event("START", "a")], topic=topics.RAW)
    with engine.begin() as connection:
        connection.execute(text(REFUSED))
    with pytest.raises(DBAPIError, match="refused at the commit"):
        stream(TELEMETRY, history=False)
    to_topics = (topics.UNIQUE, topics.FAILED, topics.DUPLICATE)
    assert [routed(place, topic, uncommitted=True) for topic in to_topics] == [[], [], []]
    with engine.begin() as connection:
        connection.execute(text("drop trigger refused on ledger"))
    stream(TELEMETRY, history=False)
    assert [len(routed(place, topic, uncommitted=True)) for topic in to_topics] == [1, 1, 1]
    assert rows(ACCOUNT, feed="telemetry") == [(3, 1, 1, 1)]


def test_where_kafka_has_forgotten_the_group_of_the_router_nothing_is_sent_again(
    place: Settings, put: Put, stream: Stream
) -> None:
    put([event("START", f"m{n}") for n in range(9)], topic=topics.RAW)
    stream(TELEMETRY, history=False)
    kafka = Kafka(place)
    group = kafka.topic_name("bytemeter-route-telemetry")
    admin = AdminClient(kafka.librdkafka())
    admin.delete_consumer_groups([group])[group].result(30)
    put([event("START", "later")], topic=topics.RAW)
    stream(TELEMETRY, history=False)
    assert mids(place, topics.UNIQUE) == ["later", *(f"m{n}" for n in range(9))]


class KilledError(Exception):
    """In place of the end of a process."""


def faults(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Each moment at which a process that routes may end, once; at the next one the fault before is undone."""
    commit, produce, send = TransactionalProducer.commit, Router._produce, Router.send_decided

    def before_sending(*_: Any) -> None:
        raise KilledError

    def halfway(router: Router, rows: Any) -> None:
        produce(router, rows)
        raise KilledError

    def before_the_answer(producer: TransactionalProducer, offsets: Any) -> None:
        commit(producer, offsets)
        raise KilledError

    for moment, (owner, name, fault, sound) in {
        "after the commit of PostgreSQL": (Router, "send_decided", before_sending, send),
        "within the transaction of Kafka": (Router, "_produce", halfway, produce),
        "before Kafka's answer": (TransactionalProducer, "commit", before_the_answer, commit),
    }.items():
        monkeypatch.setattr(owner, name, fault)
        yield moment
        monkeypatch.setattr(owner, name, sound)


def test_whatever_ends_a_process_each_message_is_sent_once_by_the_decision_that_was_made(
    place: Settings, put: Put, stream: Stream, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, moment in enumerate(faults(monkeypatch)):
        ids = [f"{number}-{n}" for n in range(20)]
        put([event("SHARE", mid) for mid in ids], topic=topics.RAW, partition=number % 2)
        put(
            [event("NOVEL", f"{number}-novel"), event("SHARE", ids[0]), event("SHARE", ids[1])],
            topic=topics.RAW,
            partition=2,
        )
        with pytest.raises(KilledError):
            stream(TELEMETRY, history=False)
        next_: list[str] = [f"{number}-later-{n}" for n in range(3)]
        put([event("START", mid) for mid in next_], topic=topics.RAW)
        monkeypatch.undo()
        stream(TELEMETRY, history=False)
        own = [m for m in mids(place, topics.PRIMARY) if m.startswith(f"{number}-")]
        assert own == sorted([*ids, *next_]), moment
    assert rows(ACCOUNT, feed="telemetry") == [(78, 69, 6, 3)]
    assert {topic: len(routed(place, topic)) for topic in (topics.UNIQUE, topics.DUPLICATE, topics.FAILED)} == {
        topics.UNIQUE: 69 + 60, topics.DUPLICATE: 6, topics.FAILED: 3,
    }  # fmt: skip
    assert rows("select sum(waiting) from routing_status where feed = 'telemetry'") == [(0,)]
