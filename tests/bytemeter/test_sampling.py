"""The size of a topic's next messages, from a sample of a real broker."""

from __future__ import annotations

import pytest

from bytemeter.kafka import Kafka
from bytemeter.sampling import average, message_bytes
from bytemeter.settings import Settings
from tests.networks import put


def test_the_next_messages_are_sampled_in_all_partitions_from_their_starts_on(place: Settings) -> None:
    kafka = Kafka(place)
    topic = kafka.topic_name("devices")
    put(place, [b"x" * 9_000] * 3 + [b"x" * 100] * 10, partition=0)
    put(place, [b"x" * 400] * 10 + [None], partition=1)
    assert message_bytes(kafka, topic, {0: 3}, {0: 13, 2: 0}) == 100
    both = message_bytes(kafka, topic, {0: 3, 1: 0}, {0: 13, 1: 10})
    # A fetch may have the messages of one partition alone.
    assert 100 <= both <= 400
    assert message_bytes(kafka, topic, {0: 13}, {0: 13, 2: 0}) == 0


def test_a_broker_that_is_away_shows_no_sizes(place: Settings) -> None:
    away = Kafka(place.model_copy(update={"kafka": "127.0.0.1:1"}))
    assert message_bytes(away, "devices", {}, {0: 10}) == 0


@pytest.mark.parametrize(
    ("sizes", "counts", "expected"),
    [
        ({"a": 100.0, "b": 400.0}, {"a": 20, "b": 10}, 200.0),
        ({"a": 100.0, "b": 0.0}, {"a": 20, "b": 0}, 100.0),
        ({"a": 100.0, "b": 0.0}, {"a": 20, "b": 1}, 0.0),
        ({"a": 0.0}, {"a": 0}, 0.0),
    ],
)
def test_topics_share_in_an_average_by_their_messages(
    sizes: dict[str, float], counts: dict[str, int], expected: float
) -> None:
    assert average(sizes, counts) == expected
