"""Topics of a real broker, where a start resumes, and the settings of each client library."""

from __future__ import annotations

import re
import time
from pathlib import Path

import pytest
from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from bytemeter.errors import BytemeterError, TransientError, UnknownHostError
from bytemeter.kafka import Kafka, Topic
from bytemeter.settings import Settings, load_settings

CERTIFICATE, KEY = "-----BEGIN CERTIFICATE-----\n", "-----BEGIN PRIVATE KEY-----\n"
TOPIC = Topic("devices", "id", earliest={0: 2, 1: 0}, latest={0: 9, 1: 0})


def test_a_topic_is_created_once_and_described_with_its_offsets(place: Settings) -> None:
    kafka = Kafka(place.model_copy(update={"partitions": 2}))
    name = kafka.topic_name("created")
    assert kafka.describe(name) is None
    assert [kafka.create(name), kafka.create(name)] == [True, False]
    more = dict.fromkeys(kafka.topic_name(other) for other in ("created", "a", "b"))
    assert [kafka.create_all(more), kafka.create_all(more)] == [list(more)[1:], []]
    producer = Producer(kafka.librdkafka())
    for _ in range(3):
        producer.produce(name, b"message", partition=1)
    assert producer.flush(30) == 0
    topic = kafka.describe(name)
    assert topic is not None
    assert (topic.name, topic.earliest, topic.latest) == (f"{place.topic_prefix}created", {0: 0, 1: 0}, {0: 0, 1: 3})
    other = kafka.describe(kafka.topic_name("devices"))
    assert other is not None
    assert topic.id != other.id


def test_messages_bear_the_time_at_which_the_broker_took_them_also_in_a_topic_of_an_earlier_version(
    place: Settings,
) -> None:
    kafka = Kafka(place)
    new, earlier = kafka.topic_name("new"), kafka.topic_name("earlier")
    assert kafka.create(new)
    admin = AdminClient(kafka.librdkafka())
    admin.create_topics([NewTopic(earlier, 1, 1)])[earlier].result()
    assert [kafka.create(earlier), kafka.create(earlier)] == [False, False]
    before_ms = time.time() * 1_000 - 60_000
    producer = Producer(kafka.librdkafka())

    def timestamp(topic: str) -> tuple[int, int]:
        taken: list[tuple[int, int]] = []
        producer.produce(topic, b"message", timestamp=1_000, on_delivery=lambda _, it: taken.append(it.timestamp()))
        assert producer.flush(30) == 0
        return taken[0]

    # The broker applies a setting of a topic a moment after it has taken it.
    deadline = time.monotonic() + 30
    while timestamp(earlier)[0] != TIMESTAMP_LOG_APPEND_TIME:
        assert time.monotonic() < deadline
    for topic in (new, earlier):
        kind, at_ms = timestamp(topic)
        assert kind == TIMESTAMP_LOG_APPEND_TIME
        assert at_ms > before_ms


def test_an_unreachable_cluster_is_reported_in_one_line() -> None:
    with pytest.raises(TransientError, match=r"^Kafka at 127\.0\.0\.1:1 cannot be reached: [^\n]*$"):
        Kafka(load_settings(kafka="127.0.0.1:1"), timeout_s=1).describe("devices")


def test_an_unknown_host_is_told_apart_from_an_outage() -> None:
    with pytest.raises(UnknownHostError, match=r"^Kafka at no-such-host\.invalid:9092 cannot be reached: [^\n]*$"):
        Kafka(load_settings(kafka="no-such-host.invalid:9092"), timeout_s=1).describe("devices")


def test_servers_that_are_not_set_are_asked_for() -> None:
    with pytest.raises(BytemeterError, match="BYTEMETER_KAFKA is not set; set it to the bootstrap servers HOST:PORT"):
        Kafka(load_settings())


def test_partitions_resume_at_the_sinks_offsets_and_new_ones_at_the_earliest() -> None:
    resumed = [TOPIC.resume_offsets(offsets, sink="the sink", remedy="fix it") for offsets in ({}, {0: 2}, {0: 9})]
    assert resumed == [{0: 2, 1: 0}, {0: 2, 1: 0}, {0: 9, 1: 0}]


@pytest.mark.parametrize(
    ("next_offsets", "expected"),
    [
        (
            {0: 10},
            "topic devices is shorter than before: partition 0 ends at offset 9, but the sink expects offset 10 next; "
            "fix it",
        ),
        (
            {7: 1},
            "topic devices is shorter than before: partition 7 ends at offset 0, but the sink expects offset 1 next; "
            "fix it",
        ),
        (
            {0: 1},
            "topic devices has deleted messages that were not read yet: partition 0 begins at offset 2, but the sink "
            "expects offset 1 next; lengthen its retention.ms, and fix it",
        ),
    ],
)
def test_a_topic_that_does_not_continue_the_sink_is_refused(next_offsets: dict[int, int], expected: str) -> None:
    with pytest.raises(BytemeterError, match=f"^{re.escape(expected)}$"):
        TOPIC.resume_offsets(next_offsets, sink="the sink", remedy="fix it")


def test_security_settings_for_each_client(tmp_path: Path) -> None:
    ca, certificate = tmp_path / "ca.pem", tmp_path / "client.pem"
    ca.write_text(CERTIFICATE)
    certificate.touch(0o600)
    certificate.write_text(CERTIFICATE + KEY)
    kafka = Kafka(
        load_settings(
            kafka="a:1,b:2",
            kafka_security_protocol="SASL_SSL",
            kafka_sasl_mechanism="SCRAM-SHA-512",
            kafka_sasl_username="ann",
            kafka_sasl_password='p"\\s',
            kafka_ssl_ca_location=ca,
            kafka_ssl_certificate_location=certificate,
        )
    )
    assert kafka.librdkafka() == {
        "bootstrap.servers": "a:1,b:2",
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": "ann",
        "sasl.password": 'p"\\s',
        "ssl.ca.location": str(ca),
        "ssl.certificate.location": str(certificate),
        "ssl.key.location": str(certificate),
    }
    assert kafka.spark() == {
        "kafka.bootstrap.servers": "a:1,b:2",
        "kafka.security.protocol": "SASL_SSL",
        "kafka.sasl.mechanism": "SCRAM-SHA-512",
        "kafka.ssl.truststore.type": "PEM",
        "kafka.ssl.truststore.certificates": CERTIFICATE,
        "kafka.ssl.keystore.type": "PEM",
        "kafka.ssl.keystore.location": str(certificate),
        "kafka.sasl.jaas.config": (
            'org.apache.kafka.common.security.scram.ScramLoginModule required username="ann" password="p\\"\\\\s";'
        ),
    }


def test_a_cluster_without_security_needs_its_servers_only() -> None:
    kafka = Kafka(load_settings(kafka="a:1"))
    assert kafka.librdkafka() == {"bootstrap.servers": "a:1"}
    assert kafka.spark() == {"kafka.bootstrap.servers": "a:1"}
