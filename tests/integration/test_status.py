"""``bytemeter status`` on real servers, with a login that only reads."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kafka import KafkaAdminClient
from pydantic import SecretStr
from sqlalchemy import Engine, make_url, text

from bytemeter.kafka import Kafka
from bytemeter.settings import Settings
from cli.main import main
from serving.status.facts import read_facts
from serving.status.report import summary
from serving.status.rules import wrong
from simulator.traffic import Sent
from tests.commands import endpoints
from tests.networks import is_gone


@pytest.fixture
def as_reader(place: Settings, engine: Engine) -> Settings:
    """The test's place with a login that is a member of ``bytemeter_reader``, and nothing else."""
    with engine.begin() as connection:
        if not connection.scalar(text("select count(*) from pg_roles where rolname = 'reader_of_tests'")):
            connection.execute(text("create role reader_of_tests login password 'secret' in role bytemeter_reader"))
    url = make_url(place.require_database_url()).set(username="reader_of_tests", password="secret")
    return place.model_copy(update={"database_url": SecretStr(url.render_as_string(hide_password=False))})


def test_a_new_stack_is_healthy_and_one_that_is_not_counted_is_not(
    as_reader: Settings, simulate: Callable[..., Sent], stream: Callable[..., None]
) -> None:
    simulate(100)
    facts = read_facts(as_reader)
    assert (wrong(facts), facts.partitions) == ([], [])

    stream()
    facts = read_facts(as_reader)
    assert wrong(facts) == []
    devices, *_ = summary(facts, [])["feeds"]
    assert (devices["received"], devices["lag"], devices["history_lag"], devices["balanced"]) == (100, 0, 0, True)

    simulate(50)
    facts = read_facts(as_reader)
    assert [line[:49] for line in wrong(facts)] == ["devices: 50 messages wait, and nobody counts them"]
    devices, *_ = summary(facts, [])["feeds"]
    assert devices["lag"] == 50
    assert 0 <= devices["lag_s"] < 60


def test_a_topic_that_was_deleted_or_re_created_is_one_line(
    as_reader: Settings,
    simulate: Callable[..., Sent],
    stream: Callable[..., None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", as_reader.topic_prefix)
    simulate(100)
    stream()
    kafka, topic = Kafka(as_reader), as_reader.topic_prefix + "devices"
    admin = KafkaAdminClient(bootstrap_servers=as_reader.kafka)
    admin.delete_topics([topic])
    admin.close()
    _wait_until(lambda: is_gone(kafka, topic))
    (line,) = _wrong(as_reader, capsys)
    assert line.startswith("devices: the ledger has counted a topic that Kafka does not have any more; start over")
    _wait_until(lambda: kafka.create(topic))
    (line,) = _wrong(as_reader, capsys)
    assert line.startswith(f"devices: topic {topic} was re-created since it was counted; start over")


def _wrong(settings: Settings, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the command calls wrong; it exits with 1."""
    capsys.readouterr()
    assert main([*endpoints(settings), "status", "--json"]) == 1
    answer: dict[str, list[str]] = json.loads(capsys.readouterr().out)
    return answer["wrong"]


def _wait_until(reached: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not reached():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)


def test_servers_that_are_away_are_lines_that_come_soon(
    as_reader: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    away = as_reader.model_copy(
        update={"kafka": "127.0.0.1:1", "database_url": SecretStr("postgresql://u:secret@127.0.0.1:1/d")}
    )
    began = time.monotonic()
    assert main([*endpoints(away), "status", "--json"]) == 1
    assert time.monotonic() - began < 15
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    where = ("PostgreSQL at 127.0.0.1:1/d", "Kafka at 127.0.0.1:1")
    assert [f"{name} cannot be reached" in line for name, line in zip(where, answer["wrong"], strict=True)] == [
        True
    ] * 2
    assert "secret" not in json.dumps(answer)


def test_status_is_readable_and_exits_0_where_nothing_is_wrong(
    as_reader: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*endpoints(as_reader), "status"]) == 0
    assert "devices            nothing counted yet" in capsys.readouterr().out.splitlines()
