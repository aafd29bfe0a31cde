"""Kafka: topics with their ids and offsets, and the settings as each of three client libraries takes them."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaError as RdKafkaError
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import AuthorizationError, KafkaError, TopicAlreadyExistsError, for_code

from bytemeter.errors import BytemeterError
from bytemeter.kafka_errors import CONCLUSIVE, TELLING, config_refused, refusal, unreachable
from bytemeter.settings import Settings

_TIMEOUT_MS = 10_000
_POLL_S = 0.05
_ASK_S = 6.0
_WHY_S = 0.3
_BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}
_MOST_BYTES = "max.message.bytes"


@dataclass(frozen=True)
class Topic:
    """A topic, as the broker described it.

    Attributes:
        name: with the topic prefix.
        id: a topic that is deleted and created again under the same name has another id.
        earliest, latest: by partition the first offset that is kept, and the offset that the next message gets.
    """

    name: str
    id: str
    earliest: Mapping[int, int]
    latest: Mapping[int, int]

    def resume_offsets(self, next_offsets: Mapping[int, int], *, sink: str, remedy: str) -> dict[int, int]:
        """By partition the offset to resume reading from: that of the sink, or the earliest if the sink has none.

        Args:
            next_offsets: by partition the offset after the last one that the sink holds.
            sink: what the error lines call the sink, such as ``the ledger``.
            remedy: what the error lines say to do.

        Raises:
            BytemeterError: a partition ends before the sink's offset, or the broker has deleted messages from that
                offset on.
        """
        for partition, offset in next_offsets.items():
            earliest, latest = self.earliest.get(partition, 0), self.latest.get(partition, 0)
            if offset > latest:
                raise BytemeterError(
                    f"topic {self.name} is shorter than before: partition {partition} ends at offset {latest}, "
                    f"but {sink} expects offset {offset} next; {remedy}"
                )
            if offset < earliest:
                raise BytemeterError(
                    f"topic {self.name} has deleted messages that were not read yet: partition {partition} begins at "
                    f"offset {earliest}, but {sink} expects offset {offset} next; "
                    f"lengthen its retention.ms, and {remedy}"
                )
        return {**self.earliest, **next_offsets}


class Kafka:
    """A Kafka cluster, with its bootstrap servers and security settings."""

    def __init__(self, settings: Settings, timeout_s: float | None = None) -> None:
        if settings.kafka is None:
            raise BytemeterError("BYTEMETER_KAFKA is not set; set it to the bootstrap servers HOST:PORT")
        self.servers = settings.kafka
        self._settings = settings
        self._timeout_ms = _TIMEOUT_MS if timeout_s is None else round(1_000 * timeout_s)

    def topic_name(self, topic: str) -> str:
        """The topic's name on the cluster: with the topic prefix."""
        return self._settings.topic_prefix + topic

    def librdkafka(self) -> dict[str, str]:
        """Settings for confluent-kafka."""
        credentials = {
            "sasl.username": self._settings.kafka_sasl_username,
            "sasl.password": self._password,
            "ssl.ca.location": self._ca,
            "ssl.certificate.location": self._certificate,
            "ssl.key.location": self._certificate,
        }
        return {"bootstrap.servers": self.servers, **self._security(), **_without_nones(credentials)}

    def spark(self) -> dict[str, str]:
        """Options for Spark's Kafka source."""
        java = dict(self._security())
        if self._ca:
            # As text: executors need not have the file.
            java |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": Path(self._ca).read_text()}
        if self._certificate:
            java |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": self._certificate}
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
        """The topic of that name (with its prefix), or None if the cluster has none.

        Raises:
            TransientError: the cluster cannot be reached.
            BytemeterError: it refused the login or the user.
        """
        with self._admin() as admin:
            metadata = _metadata(admin, topic)
            if metadata is None:
                return None
            partitions = [TopicPartition(topic, p["partition_index"]) for p in metadata["partitions"]]
            earliest, latest = (_offsets(admin, partitions, spec) for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST))
            return Topic(topic, str(metadata["topic_id"]), earliest, latest)

    def create(self, topic: str) -> bool:
        """Create the topic unless it exists; see ``create_all``. Returns whether it was created."""
        return bool(self.create_all({topic: None}))

    def create_all(self, topics: Mapping[str, int | None]) -> list[str]:
        """Create the topics that do not exist; returns these.

        A user who may not create topics may use those that exist: Kafka refuses before it says that one exists.

        Their messages bear the time at which the broker took them, also those of a topic that exists: retention goes by
        that time, and would delete accepted events whose producer said that they are old.

        The controller answers before the brokers know a topic; this returns once a broker does, or after ten seconds.

        Args:
            topics: by name, with the prefix, the most bytes of a message; None for what Kafka takes by default.

        Raises:
            TransientError: the cluster cannot be reached.
            BytemeterError: it refused the login or the user.
        """
        with self._admin() as admin:
            missing = [topic for topic in topics if _metadata(admin, topic) is None]
            for topic, most_bytes in topics.items():
                if topic not in missing:
                    self._configure(topic, most_bytes)
            created = self._create(admin, {topic: topics[topic] for topic in missing}) if missing else []
            deadline = time.monotonic() + _TIMEOUT_MS / 1_000
            while any(_metadata(admin, topic) is None for topic in created) and time.monotonic() < deadline:
                time.sleep(_POLL_S)
            return created

    def _create(self, admin: Any, topics: Mapping[str, int | None]) -> list[str]:
        """Create topics by one request; leaves out topics that another process has created since."""
        try:
            admin.create_topics([self._new(topic, most_bytes) for topic, most_bytes in topics.items()])
        except TopicAlreadyExistsError:
            alone = [{topic: most_bytes} for topic, most_bytes in topics.items()]
            return [created for one in alone for created in self._create(admin, one)] if len(alone) > 1 else []
        return list(topics)

    def _new(self, topic: str, most_bytes: int | None) -> NewTopic:
        configs = {**_BROKERS_TIME, **({} if most_bytes is None else {_MOST_BYTES: str(most_bytes)})}
        return NewTopic(topic, self._settings.partitions, -1, topic_configs=configs)

    def _configure(self, topic: str, most_bytes: int | None) -> None:
        """Let the messages of a topic bear the broker's time, and be as large as they may be, if they do not yet."""
        # By librdkafka: kafka-python does not tell that it was refused.
        admin = AdminClient({**self.librdkafka(), "log_level": 0})
        resource = ConfigResource(ResourceType.TOPIC, topic)
        options: dict[str, Any] = {"request_timeout": self._timeout_ms / 1_000}
        wanted = dict(_BROKERS_TIME)
        try:
            (found,) = admin.describe_configs([resource], **options).values()
            values = {name: entry.value for name, entry in found.result().items()}
            if most_bytes is not None and int(values[_MOST_BYTES] or 0) < most_bytes:
                wanted[_MOST_BYTES] = str(most_bytes)
            if all(values[name] == value for name, value in wanted.items()):
                return
            entries = [
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET) for name, value in wanted.items()
            ]
            changed = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=entries)
            (done,) = admin.incremental_alter_configs([changed], **options).values()
            done.result()
        except KafkaException as error:
            told = ", ".join(f"{name}={value}" for name, value in wanted.items())
            raise config_refused(error.args[0], topic, told) from error

    @property
    def _password(self) -> str | None:
        password = self._settings.kafka_sasl_password
        return password.get_secret_value() if password else None

    @property
    def _ca(self) -> str | None:
        """The path of the authorities' certificates."""
        path = self._settings.kafka_ssl_ca_location
        return str(path) if path else None

    @property
    def _certificate(self) -> str | None:
        """The path of the client's certificate and key."""
        path = self._settings.kafka_ssl_certificate_location
        return str(path) if path else None

    @property
    def _user(self) -> str:
        """As whom Kafka knows this client, as error lines say it."""
        if self._settings.kafka_sasl_username:
            return f"the user {self._settings.kafka_sasl_username}"
        return f"the user of the certificate {self._certificate}" if self._certificate else "the user anonymous"

    def _security(self) -> dict[str, str]:
        return _without_nones(
            {
                "security.protocol": self._settings.kafka_security_protocol,
                "sasl.mechanism": self._settings.kafka_sasl_mechanism,
            }
        )

    @contextmanager
    def _admin(self) -> Iterator[Any]:
        credentials = {
            "sasl_plain_username": self._settings.kafka_sasl_username,
            "sasl_plain_password": self._password,
            "ssl_cafile": self._ca,
            "ssl_certfile": self._certificate,
            "ssl_keyfile": self._certificate,
        }
        security = {key.replace(".", "_"): value for key, value in self._security().items()}
        try:
            admin = KafkaAdminClient(
                bootstrap_servers=self.servers.split(","),
                bootstrap_timeout_ms=self._timeout_ms,
                request_timeout_ms=self._timeout_ms,
                **security,
                **_without_nones(credentials),
            )
            try:
                yield admin
            finally:
                admin.close()
        except KafkaError as error:
            refused = refusal(error, self.servers, self._user)
            raise refused or unreachable(error, self.servers, self._ask_librdkafka()) from error

    def _ask_librdkafka(self) -> RdKafkaError | None:
        """Why no connection is made: kafka-python says only that it has tried. None if nothing is known within 6 s."""
        told: list[RdKafkaError] = []
        settings: dict[str, Any] = {**self.librdkafka(), "error_cb": told.append, "log_level": 0}
        client, deadline = AdminClient(settings), time.monotonic() + _ASK_S
        while time.monotonic() < deadline and not any(error.code() in CONCLUSIVE for error in told):
            client.poll(_POLL_S)
        if not any(error.code() in TELLING for error in told):
            # "All brokers are down" may come just before the reason.
            client.poll(_WHY_S)
        return next((error for error in told if error.code() in TELLING), None)


def _metadata(admin: Any, topic: str) -> dict[str, Any] | None:
    """What the broker says of the topic; None if it has none, or the topic is still being created.

    Raises:
        AuthorizationError: the user may not see the topic, whether or not it exists.
    """
    for metadata in admin.describe_topics([topic]):
        error = for_code(metadata.get("error_code") or 0)
        if issubclass(error, AuthorizationError):
            raise error(f"topic {topic}")
        if not metadata.get("error_code"):
            return dict(metadata)
    return None


def _offsets(admin: Any, partitions: list[TopicPartition], spec: Any) -> dict[int, int]:
    results = admin.list_partition_offsets(dict.fromkeys(partitions, spec))
    return {partition.partition: result.offset for partition, result in sorted(results.items())}


def _without_nones(options: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in options.items() if value is not None}


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
