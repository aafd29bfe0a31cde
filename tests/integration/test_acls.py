"""What an ACL of Kafka refuses ends a command with one line that names it, and loses nothing."""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from pyspark.sql import SparkSession
from sqlalchemy import Engine

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka import Kafka
from bytemeter.plans.outbox import Outbox, write
from bytemeter.prepare import prepare
from bytemeter.settings import PREFIX, Settings, load_settings
from bytemeter.topics import topics
from cli.main import main
from embedded.home import Home
from tests.builders import agreement, record
from tests.bytemeter.plans.test_outbox import event
from tests.commands import signal_handlers_restored
from tests.integration.tls import KAFKA_PASSWORD, KAFKA_USER, SecureBroker, make_certificates
from tests.record_files import line

TOPICS = tuple(topics())
MONTH = f"{dt.datetime.now(dt.UTC):%Y-%m}"
DOCS = Path(__file__).parents[2] / "docs" / "settings.md"
_SOON_S = 20.0

Rows = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Cluster:
    """The broker, and a place whose topics a user may use as far as the ACLs allow it.

    Attributes:
        certified: settings of the administrator.
        admin: a client that may do anything.
    """

    certified: Settings
    admin: AdminClient
    _gathered: list[list[AclBinding]] = field(default_factory=list)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Add the ACLs of the block by one request at its end: each takes the broker a moment."""
        self._gathered.append([])
        yield
        if acls := self._gathered.pop():
            self._create(acls)

    def allow(self, topic: str, *operations: str) -> None:
        """Allow the user these operations on a topic, and no others."""
        self._add(ResourceType.TOPIC, self.certified.topic_prefix + topic, AclPermissionType.ALLOW, *operations)

    def allow_prefixed(self, kind: ResourceType, name: str, *operations: str, user: str = KAFKA_USER) -> None:
        """Allow a user these operations on groups, or on transactional ids, that begin so after the topic prefix."""
        named = self.certified.topic_prefix + name
        self._add(kind, named, AclPermissionType.ALLOW, *operations, user=user, pattern=ResourcePatternType.PREFIXED)

    def close(self, topic: str) -> None:
        """Allow another user something on a topic: one without ACLs is open to everybody."""
        self._add(ResourceType.TOPIC, self.certified.topic_prefix + topic, AclPermissionType.ALLOW, "READ", user="bob")

    def deny(self, topic: str, *operations: str) -> None:
        """Deny the user these operations on a topic."""
        self._add(ResourceType.TOPIC, self.certified.topic_prefix + topic, AclPermissionType.DENY, *operations)

    def deny_elsewhere(self, *, writing: bool, but: tuple[ResourceType, ...] = ()) -> None:
        """Deny the user all rights of the cluster, of groups and of transactions; with ``writing`` on all topics.

        Args:
            but: kinds on which only another user has a right.
        """
        self._add(ResourceType.BROKER, "kafka-cluster", AclPermissionType.DENY, "ALL")
        for kind in (ResourceType.GROUP, ResourceType.TRANSACTIONAL_ID):
            if kind in but:
                self._add(kind, "*", AclPermissionType.ALLOW, "READ", user="bob")
            else:
                self._add(kind, "*", AclPermissionType.DENY, "ALL")
        if writing:
            self._add(ResourceType.TOPIC, "*", AclPermissionType.DENY, "WRITE")

    def forget(self) -> None:
        """Remove all ACLs."""
        self.admin.delete_acls([_any()])[_any()].result()
        self._wait_for(lambda acls: not acls)

    def send(self, topic: str, *values: bytes) -> None:
        """Send messages as the administrator."""
        producer = Producer(quiet(self.certified))
        for value in values:
            producer.produce(self.certified.topic_prefix + topic, value, partition=0)
        assert producer.flush(30) == 0

    def _add(
        self,
        kind: ResourceType,
        name: str,
        permission: AclPermissionType,
        *operations: str,
        user: str = KAFKA_USER,
        pattern: ResourcePatternType = ResourcePatternType.LITERAL,
    ) -> None:
        acls = [
            AclBinding(kind, name, pattern, f"User:{user}", "*", AclOperation[one], permission) for one in operations
        ]
        if self._gathered:
            self._gathered[-1] += acls
        else:
            self._create(acls)

    def _create(self, acls: list[AclBinding]) -> None:
        for done in self.admin.create_acls(acls).values():
            done.result()
        self._wait_for(lambda found: set(acls) <= set(found))

    def _wait_for(self, condition: Callable[[list[AclBinding]], bool]) -> None:
        """Wait until the broker has heard it from the controller."""
        deadline = time.monotonic() + _SOON_S
        while not condition(self.admin.describe_acls(_any()).result()):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def quiet(settings: Settings) -> dict[str, Any]:
    """For a client that prints nothing: it may outlive the broker, beside tests that look at what is printed."""
    return {**Kafka(settings).librdkafka(), "log_level": 0}


def _any() -> AclBindingFilter:
    anything: Any = None
    return AclBindingFilter(
        ResourceType.ANY, anything, ResourcePatternType.ANY, anything, anything, AclOperation.ANY, AclPermissionType.ANY
    )


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    folder = tmp_path_factory.mktemp("acls")
    broker = SecureBroker(Home(folder / "home"), make_certificates(folder))
    try:
        broker.start()
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def cluster(
    broker: SecureBroker, place: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """Commands run as the user; the topics exist."""
    certificates = broker.certificates
    common: dict[str, Any] = {
        "kafka_ssl_ca_location": certificates.ca,
        "topic_prefix": place.topic_prefix,
        "home": tmp_path / "home",
    }
    stores: dict[str, Any] = {"database_url": place.require_database_url(), "history": place.require_history()}
    certified = load_settings(
        **common,
        **stores,
        kafka=broker.certified_servers,
        kafka_security_protocol="SSL",
        kafka_ssl_certificate_location=certificates.client,
    )
    variables = {
        **common,
        **stores,
        "kafka": broker.servers,
        "kafka_security_protocol": "SASL_SSL",
        "kafka_sasl_mechanism": "SCRAM-SHA-512",
        "kafka_sasl_username": KAFKA_USER,
        "kafka_sasl_password": KAFKA_PASSWORD,
    }
    for name, value in variables.items():
        monkeypatch.setenv(PREFIX + name.upper(), str(value))
    prepare(certified)
    cluster = Cluster(certified, AdminClient(quiet(certified)))
    with signal_handlers_restored():
        yield cluster
    cluster.forget()


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that fails; returns its one line."""

    def run(*command: str) -> str:
        capfd.readouterr()
        assert main(command) == 1
        lines = [line for line in capfd.readouterr().err.splitlines() if "[info " not in line]
        assert len(lines) == 1, lines
        assert re.search(r"let (its|Kafka's) administrator .*\(ACL\)", lines[0]), lines
        return lines[0]

    return run


def test_a_topic_that_the_user_may_not_see_ends_every_command(
    cluster: Cluster, refused: Callable[..., str], spark: SparkSession
) -> None:
    cluster.deny("devices", "ALL")
    topic = re.escape(f"{cluster.certified.topic_prefix}devices")
    for command in (["migrate"], ["stream"], ["simulate", "devices", "--records", "1"]):
        line = refused(*command)
        assert re.search(rf"refused the user {KAFKA_USER}: \[Error 29\] TopicAuthorizationFailedError: .*{topic}", line)


def test_a_topic_whose_configuration_the_user_may_not_see_is_told_by_its_acl(
    cluster: Cluster, refused: Callable[..., str]
) -> None:
    cluster.allow("devices", "DESCRIBE")
    topic = f"{cluster.certified.topic_prefix}devices"
    line = f"the topic {topic} may lack the configuration message.timestamp.type=LogAppendTime, which cannot be read or set"
    assert line in refused("migrate")


def test_a_topic_that_the_user_may_not_read_or_write_is_refused_at_once(
    cluster: Cluster, refused: Callable[..., str], spark: SparkSession
) -> None:
    cluster.send("devices", b"message")
    cluster.allow("devices", "DESCRIBE")
    topic = f"{cluster.certified.topic_prefix}devices"
    assert "TopicAuthorizationException" in refused("stream")
    assert f"does not let this user write to the topic {topic}: " in refused("simulate", "devices", "--records", "9")
    cluster.deny_elsewhere(writing=True)
    refused("simulate", "devices", "--records", "9")  # the producer itself, or its message: whichever answer is first


def test_events_that_an_acl_refuses_wait_in_the_outbox(
    cluster: Cluster, refused: Callable[..., str], rows: Rows, spark: SparkSession
) -> None:
    cluster.send("agreements", agreement())
    cluster.send("data-records", record("1", 600), record("2", 600))
    cluster.allow("threshold-events", "DESCRIBE")
    unpublished = "select count(*) > 0, count(published_at) from threshold_events"
    assert "threshold events wait in the outbox" in refused("stream")
    assert rows(unpublished) == [(True, 0)]
    assert "threshold events wait in the outbox" in refused("stream")  # those of before
    cluster.allow("threshold-events", "WRITE")
    assert main(["stream", "--once"]) == 0
    published = rows("select count(*), count(published_at) from threshold_events")
    topic = Kafka(cluster.certified).describe(f"{cluster.certified.topic_prefix}threshold-events")
    assert topic is not None
    assert published == [(sum(topic.latest.values()),) * 2]
    assert rows("select sum(counted) from ledger where feed = 'data-records'") == [(2,)]


def test_an_outbox_whose_producer_is_refused_goes_on_once_it_is_allowed(
    cluster: Cluster, engine: Engine, rows: Rows
) -> None:
    cluster.deny_elsewhere(writing=True)
    with engine.begin() as connection:
        write(connection, [event(), event("b")], source="live")
    for _ in range(2):
        with pytest.raises(BytemeterError, match=r"\(ACL\); 2 threshold events wait in the outbox$") as caught:
            Outbox(Kafka(load_settings()), engine).publish()
        assert not isinstance(caught.value, TransientError)
    cluster.forget()
    Outbox(Kafka(load_settings()), engine).publish()
    assert rows("select count(published_at) from threshold_events") == [(2,)]


@dataclass(frozen=True)
class Right:
    """A line of the docs' table."""

    command: str
    kind: ResourceType
    names: list[str]
    operations: list[str]

    def allow(self, cluster: Cluster) -> None:
        """Give it to the user."""
        for name in self.names:
            if self.kind == ResourceType.TOPIC:
                cluster.allow(name, *self.operations)
            else:
                cluster.allow_prefixed(self.kind, name, *self.operations)


KINDS = {"groups": ResourceType.GROUP, "transactional ids": ResourceType.TRANSACTIONAL_ID}


def documented_rights() -> Iterator[Right]:
    """The lines of the docs' table."""
    for row in DOCS.read_text().splitlines():
        texts = row.strip("|").split("|")
        cells = [re.findall(r"`([^`]+)`", cell) for cell in texts]
        if len(cells) == 3 and cells[2] and cells[2][0].isupper() and cells[0]:
            kind = next(
                (kind for words, kind in KINDS.items() if texts[1].strip().startswith(words)), ResourceType.TOPIC
            )
            yield Right(cells[0][0].removeprefix("bytemeter "), kind, cells[1], cells[2])


def test_the_rights_of_the_docs_suffice_and_each_of_the_importer_is_needed(
    cluster: Cluster,
    rows: Rows,
    spark: SparkSession,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    refused: Callable[..., str],
) -> None:
    rights = list(documented_rights())
    assert {right.command for right in rights} == {
        "migrate", "simulate", "collector", "stream", "batch monthly", "import",
        "replay telemetry",
    }  # fmt: skip
    for deleted in cluster.admin.delete_topics([cluster.certified.topic_prefix + topic for topic in TOPICS]).values():
        deleted.result()
    files = tmp_path / "files"
    files.mkdir()
    (files / "records").write_text(line(1))
    commands = (
        ["migrate"],
        # Again, now that the topics exist.
        ["migrate"],
        ["simulate", "devices", "--records", "20"],
        ["simulate", "agreements", "--subscribers", "3"],
        ["simulate", "data-records", "--records", "20", "--subscribers", "3"],
        ["import", str(files)],
        ["simulate", "telemetry", "--records", "20"],
        ["stream", "--once"],
        ["replay", "telemetry", "--from", "2026-01-01"],
        ["batch", "hourly", "--dirty"],
        ["batch", "monthly", "--month", MONTH],
    )
    for command in commands:
        allowed = [right for right in rights if " ".join(command).startswith(right.command)]
        if command[0] == "import":
            for missing in allowed:
                only(cluster, [right for right in allowed if right != missing])
                told = refused(*command)
                assert (f"allow {'READ' if missing.kind == ResourceType.GROUP else 'WRITE'}" in told) or (
                    missing.kind == ResourceType.TOPIC
                ), told
        only(cluster, allowed)
        assert main(command) == 0, (command, capfd.readouterr().err)
    assert (files / "done/records").exists()
    assert rows("select sum(counted) > 20 from ledger") == [(True,)]


def only(cluster: Cluster, rights: list[Right]) -> None:
    """Give the user these rights alone."""
    cluster.forget()
    kinds = tuple({right.kind for right in rights} - {ResourceType.TOPIC})
    with cluster.at_once():
        cluster.deny_elsewhere(writing=False, but=kinds)
        for topic in TOPICS:
            cluster.close(topic)
        for right in rights:
            right.allow(cluster)
