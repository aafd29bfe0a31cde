"""Kafka's administration: topics, their ids and offsets, and one set of settings for three clients."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import KafkaError, TopicAlreadyExistsError

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.settings import Settings

_TIMEOUT_MS = 10_000
_POLL_S = 0.05


@dataclass(frozen=True)
class Topic:
    """A topic as the broker has it now.

    Attributes:
        id: the broker's id of this incarnation of the name.
        earliest, latest: per partition the first offset kept and the one that the next record gets.
    """

    name: str
    id: str
    earliest: Mapping[int, int]
    latest: Mapping[int, int]

    def start_after(self, reached: Mapping[int, int], *, what: str, remedy: str) -> dict[int, int]:
        """Where to read on after the offsets reached: from there, and new partitions from their beginning.

        Raises:
            BytemeterError: the topic ends before them, or begins after them, so that records are missing.
        """
        for partition, offset in reached.items():
            earliest, latest = self.earliest.get(partition, 0), self.latest.get(partition, 0)
            if offset > latest:
                raise BytemeterError(
                    f"topic {self.name} went back: partition {partition} ends at {latest}, "
                    f"{what} was up to {offset}; {remedy}"
                )
            if offset < earliest:
                raise BytemeterError(
                    f"topic {self.name} lost records too early: partition {partition} begins at {earliest}, "
                    f"{what} was up to {offset}; lengthen its retention.ms, and {remedy}"
                )
        return {**self.earliest, **reached}


class Kafka:
    """A cluster, by its bootstrap servers and security settings."""

    def __init__(self, settings: Settings) -> None:
        if settings.kafka is None:
            raise BytemeterError("BYTEMETER_KAFKA is not set; give the bootstrap servers HOST:PORT")
        self.servers = settings.kafka
        self._settings = settings

    def topic_name(self, topic: str) -> str:
        """The name on the cluster of a feed's topic."""
        return self._settings.topic_prefix + topic

    def librdkafka(self) -> dict[str, str]:
        """Settings for confluent-kafka."""
        own = {"sasl.username": self._settings.kafka_sasl_username, "sasl.password": self._password}
        ca = self._settings.kafka_ssl_ca_location
        own["ssl.ca.location"] = str(ca) if ca else None
        return {"bootstrap.servers": self.servers, **self._security(), **_present(own)}

    def spark(self) -> dict[str, str]:
        """Options for Spark's Kafka source."""
        java = dict(self._security())
        if self._settings.kafka_ssl_ca_location:
            java |= {
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": str(self._settings.kafka_ssl_ca_location),
            }
        if self._settings.kafka_sasl_username:
            mechanism = self._settings.kafka_sasl_mechanism or ""
            module = "scram.ScramLoginModule" if mechanism.startswith("SCRAM") else "plain.PlainLoginModule"
            java["sasl.jaas.config"] = (
                f"org.apache.kafka.common.security.{module} required "
                f"username={_quoted(self._settings.kafka_sasl_username)} password={_quoted(self._password or '')};"
            )
        return {
            "kafka.bootstrap.servers": self.servers,
            **{f"kafka.{key}": value for key, value in java.items()},
        }

    def describe(self, topic: str) -> Topic | None:
        """The topic of that (prefixed) name, or None if there is none.

        Raises:
            TransientError: the cluster cannot be reached.
        """
        with self._admin() as admin:
            found = _described(admin, topic)
            if found is None:
                return None
            partitions = [TopicPartition(topic, p["partition_index"]) for p in found["partitions"]]
            earliest, latest = (_offsets(admin, partitions, spec) for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
            return Topic(topic, str(found["topic_id"]), earliest, latest)

    def create(self, topic: str) -> bool:
        """Create the topic unless it exists; True if it is new.

        The controller answers before the brokers know the topic; this returns once one does, or after ten seconds.

        Raises:
            TransientError: the cluster cannot be reached.
        """
        with self._admin() as admin:
            try:
                admin.create_topics([NewTopic(topic, self._settings.partitions, -1)])
            except TopicAlreadyExistsError:
                return False
            deadline = time.monotonic() + _TIMEOUT_MS / 1_000
            while _described(admin, topic) is None and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            return True

    @property
    def _password(self) -> str | None:
        password = self._settings.kafka_sasl_password
        return password.get_secret_value() if password else None

    def _security(self) -> dict[str, str]:
        return _present(
            {
                "security.protocol": self._settings.kafka_security_protocol,
                "sasl.mechanism": self._settings.kafka_sasl_mechanism,
            }
        )

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        ca = self._settings.kafka_ssl_ca_location
        own = {
            "sasl_plain_username": self._settings.kafka_sasl_username,
            "sasl_plain_password": self._password,
            "ssl_cafile": str(ca) if ca else None,
        }
        security = {key.replace(".", "_"): value for key, value in self._security().items()}
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=self.servers.split(","),
                bootstrap_timeout_ms=_TIMEOUT_MS,
                request_timeout_ms=_TIMEOUT_MS,
                **security,
                **_present(own),
            )
            try:
                yield admin
            finally:
                admin.close()
        except KafkaError as error:
            told = str(error).splitlines()[0]
            raise TransientError(
                f"Kafka at {self.servers} cannot be reached: {told}; is it up, and BYTEMETER_KAFKA right?"
            ) from error


def _described(admin: Any, topic: str) -> dict[str, Any] | None:
    return next((found for found in admin.describe_topics([topic]) if not found.get("error_code")), None)


def _offsets(admin: Any, partitions: list[TopicPartition], spec: Any) -> dict[int, int]:
    found = admin.list_partition_offsets(dict.fromkeys(partitions, spec))
    return {partition.partition: result.offset for partition, result in sorted(found.items())}


def _present(options: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in options.items() if value is not None}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
