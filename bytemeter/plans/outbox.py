"""The outbox of threshold events: written in the transaction that caused them, then published to Kafka."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka import Message as Delivered
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from bytemeter.errors import BytemeterError, TransientError
from bytemeter.kafka import Kafka
from bytemeter.kafka_errors import RDKAFKA_LOGGER, write_refused
from bytemeter.logs import logger
from bytemeter.plans.events import TOPIC, ThresholdEvent
from bytemeter.postgres import one_line_errors
from bytemeter.sql import Statements

SQL = Statements(__package__, "outbox.sql")
_AT_ONCE = 20_000


def write(connection: Connection, events: Sequence[ThresholdEvent], *, source: str) -> list[ThresholdEvent]:
    """Write the events that were not emitted before, and return them, in their order.

    Key: the event's id.

    Args:
        source: ``live`` or ``batch``: which layer emits them.
    """
    slices = (events[first : first + _AT_ONCE] for first in range(0, len(events), _AT_ONCE))
    return [event for part in slices for event in _write(connection, part, source)]


@dataclass
class Outbox:
    """Publishes what waits in ``threshold_events`` to the topic of the same name, and marks it as published.

    Key: the agreement's id. Delivery: at least once, in the order in which the events were written. An event is
    published again only if this process ended, or lost PostgreSQL, between the broker's acknowledgement and the mark;
    then byte for byte the same. While Kafka is away the events wait in the producer, which sends them once, and in the
    table.

    One process at a time publishes: it holds the lock of the table ``event_publishing`` as long as its producer has
    events that Kafka has not acknowledged. So two processes neither send an event twice nor out of order.

    Attributes:
        patience_s: how long to wait for the broker's acknowledgement, and for another process that publishes.
    """

    kafka: Kafka
    engine: Engine = field(repr=False)
    patience_s: float = 20.0
    _locked: Connection | None = field(default=None, init=False, repr=False)
    _producer: Producer | None = field(default=None, init=False, repr=False)
    # Ids of events that the producer has, and of those of them that the broker acknowledged.
    _handed_over: set[str] = field(default_factory=set, init=False, repr=False)
    _delivered: set[str] = field(default_factory=set, init=False, repr=False)
    # Of the latest message that was not delivered.
    _failure: KafkaError | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def publish(self) -> None:
        """Publish all events that are not marked as published, whichever process has written them.

        Raises:
            TransientError: Kafka did not acknowledge all of them in time, another process publishes all the while, or
                PostgreSQL could not be reached; they stay in the outbox.
            BytemeterError: an ACL of Kafka refused them; they stay in the outbox, and the next start publishes them.
        """
        with self._lock:
            while self._publish_some():
                pass

    def close(self) -> None:
        """End the producer. Events that Kafka has not acknowledged stay in the outbox."""
        self._producer = None
        self._handed_over.clear()
        self._unlock()

    def _publish_some(self) -> bool:
        """Publish the first of the events that wait; whether there were any. The lock is given back in between."""
        try:
            connection = self._lock_publishing()
            with one_line_errors(self.engine.url):
                rows = connection.execute(SQL["unpublished_events"], {"most": _AT_ONCE}).all()
            self._send((str(row.event_id), row.agreement_id.encode(), bytes(row.payload)) for row in rows)
            return bool(rows)
        finally:
            if not self._handed_over:
                self._unlock()

    def _lock_publishing(self) -> Connection:
        """The connection that holds the right to publish; waits for another process that holds it."""
        if self._locked is not None and not self._locked.invalidated:
            return self._locked
        self._unlock()
        with one_line_errors(self.engine.url):
            connection = self.engine.connect()
        try:
            with one_line_errors(self.engine.url):
                connection.exec_driver_sql(f"set local lock_timeout = '{round(1000 * self.patience_s)}ms'")
                connection.execute(SQL["lock_publishing"])
        except TransientError as error:
            connection.close()
            raise TransientError(
                f"threshold events wait in the outbox; does another process publish? {error}"
            ) from error
        except BaseException:
            connection.close()
            raise
        self._locked = connection
        return connection

    def _unlock(self) -> None:
        connection, self._locked = self._locked, None
        if connection is not None:
            with suppress(DBAPIError):
                connection.close()

    def _send(self, messages: Iterable[tuple[str, bytes, bytes]]) -> None:
        topic = self.kafka.topic_name(TOPIC)
        event_ids, self._failure = [], None
        try:
            for event_id, key, payload in messages:
                event_ids.append(event_id)
                if event_id not in self._handed_over:
                    self._produce(topic, event_id, key, payload)
            self._wait_for(event_ids)
        except KafkaException as error:
            # Of the producer itself, which may not even begin to write.
            raise self._refused(error.args[0], len(event_ids)) or error from error
        self._mark()

    def _produce(self, topic: str, event_id: str, key: bytes, payload: bytes) -> None:
        producer = self._connected()

        def delivered(error: KafkaError | None, _: Delivered | None) -> None:
            if error is None:
                self._delivered.add(event_id)
            else:
                self._failure = error
                self._handed_over.discard(event_id)

        self._handed_over.add(event_id)
        while True:
            try:
                producer.produce(topic, payload, key, on_delivery=delivered)
                break
            except BufferError:
                producer.poll(0.05)
            except KafkaException as error:
                if error.args[0].fatal():
                    raise
                # The producer knows already that the topic is closed to it.
                delivered(error.args[0], None)
                break

    def _wait_for(self, event_ids: Sequence[str]) -> None:
        producer, deadline = self._connected(), time.monotonic() + self.patience_s
        while missing := [event_id for event_id in event_ids if event_id not in self._delivered]:
            if time.monotonic() > deadline or any(event_id not in self._handed_over for event_id in missing):
                self._mark()
                raise self._not_taken(len(missing))
            producer.flush(0.1)

    def _not_taken(self, count: int) -> BytemeterError:
        refused = self._refused(self._failure, count) if self._failure else None
        return refused or TransientError(
            f"Kafka at {self.kafka.servers} did not take {count} threshold events; they wait in the outbox; is it up, "
            "and has it the topic threshold-events (`bytemeter migrate`)?"
        )

    def _refused(self, error: KafkaError, count: int) -> BytemeterError | None:
        refused = write_refused(error, self.kafka.topic_name(TOPIC))
        return refused and BytemeterError(f"{refused}; {count} threshold events wait in the outbox")

    def _mark(self) -> None:
        delivered = list(self._delivered)
        if delivered:
            with one_line_errors(self.engine.url), self.engine.begin() as connection:
                connection.execute(SQL["mark_published"], {"ids": delivered, "at": dt.datetime.now(dt.UTC)})
            self._delivered.difference_update(delivered)
            self._handed_over.difference_update(delivered)
            logger().info("published", events=len(delivered))

    def _connected(self) -> Producer:
        if self._producer is None:
            self._producer = Producer(
                {
                    **self.kafka.librdkafka(),
                    "enable.idempotence": True,
                    "linger.ms": 0,
                    "logger": RDKAFKA_LOGGER,
                    "log_level": 0,
                    # Sent again and again until the broker is back: the producer knows what it has sent, a new one
                    # would not.
                    "message.timeout.ms": 0,
                    "queue.buffering.max.messages": 500_000,
                }
            )
        return self._producer


def _write(connection: Connection, events: Sequence[ThresholdEvent], source: str) -> list[ThresholdEvent]:
    columns = {
        "ids": [event.event_id for event in events],
        "agreements": [event.agreement_id for event in events],
        "starts": [event.period_start for event in events],
        "types": [event.type for event in events],
        "percents": [event.percent for event in events],
        "thresholds": [event.threshold_bytes for event in events],
        "totals": [event.total_bytes for event in events],
        "latest_at": [event.latest_recorded_at for event in events],
        "latest": [event.latest_record for event in events],
        "ordinals": [event.ordinal for event in events],
        "payloads": [event.payload for event in events],
    }
    written = {str(event_id) for event_id in connection.scalars(SQL["write_events"], {**columns, "source": source})}
    return [event for event in events if event.event_id in written]
