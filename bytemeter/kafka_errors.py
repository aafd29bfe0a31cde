"""What an error of Kafka's clients means: a refusal that ends a command, or an outage to wait for."""

from __future__ import annotations

import logging

from confluent_kafka import KafkaError as RdKafkaError
from kafka.errors import (
    AuthorizationError,
    DelegationTokenAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailedError,
    UnsupportedSaslMechanismError,
)

from bytemeter.errors import BytemeterError, TransientError, UnknownHostError, first_line
from bytemeter.hosts import is_unknown

AUTHENTICATION = RdKafkaError._AUTHENTICATION
# What librdkafka says of why no connection is made, and when it will not say more.
TELLING = (AUTHENTICATION, RdKafkaError._SSL)
CONCLUSIVE = (*TELLING, RdKafkaError._ALL_BROKERS_DOWN)
_REFUSED_LOGIN = (SaslAuthenticationFailedError, UnsupportedSaslMechanismError, IllegalSaslStateError)
_REFUSED = (AuthorizationError, DelegationTokenAuthorizationFailedError)
_NOT_ALLOWED = (RdKafkaError.TOPIC_AUTHORIZATION_FAILED, RdKafkaError.CLUSTER_AUTHORIZATION_FAILED)
# For producers: librdkafka also prints an error that ends a producer, which is raised anyway.
RDKAFKA_LOGGER = logging.getLogger("rdkafka")
RDKAFKA_LOGGER.addFilter(lambda record: record.levelno < logging.CRITICAL)


def refusal(error: KafkaError, servers: str, user: str) -> BytemeterError | None:
    """The line for a login or an operation that the cluster refused; None for any other error.

    Args:
        servers: the bootstrap servers.
        user: as whom Kafka knows the client, e.g. ``the user ann``.
    """
    where, reason = f"Kafka at {servers}", first_line(error)
    if isinstance(error, _REFUSED_LOGIN):
        return BytemeterError(f"{where} refused the login: {reason}; check BYTEMETER_KAFKA_SASL_*")
    if isinstance(error, _REFUSED):
        return BytemeterError(f"{where} refused {user}: {reason}; let its administrator allow it (ACL)")
    return None


def unreachable(error: KafkaError, servers: str, told: RdKafkaError | None) -> BytemeterError:
    """The line for a cluster to which no connection is made.

    Args:
        told: what librdkafka says of it, which tells more than kafka-python does.
    """
    where = f"Kafka at {servers}"
    if told is not None and told.code() == AUTHENTICATION:
        return BytemeterError(f"{where} refused the login: {told.str()}; check BYTEMETER_KAFKA_SASL_*")
    unknown = all(is_unknown(server.rpartition(":")[0].strip("[]")) for server in servers.split(","))
    kind = UnknownHostError if unknown else TransientError
    said = told.str() if told is not None else first_line(error)
    return kind(f"{where} cannot be reached: {said}; is it up, and BYTEMETER_KAFKA right?")


def write_refused(error: RdKafkaError, topic: str) -> BytemeterError | None:
    """The line for a message, or a producer, that an ACL kept out of a topic; None for any other error."""
    if error.code() not in _NOT_ALLOWED:
        return None
    return BytemeterError(
        f"Kafka does not let this user write to the topic {topic}: {error.str()}; let its administrator allow it (ACL)"
    )


def config_refused(error: RdKafkaError, topic: str, wanted: str) -> BytemeterError:
    """The line for a topic whose configuration could not be read or set."""
    what = f"the topic {topic} may lack the configuration {wanted}, which cannot be read or set: {error.str()}"
    if error.code() in _NOT_ALLOWED:
        return BytemeterError(f"{what}; let Kafka's administrator set it, and allow DescribeConfigs (ACL)")
    return TransientError(f"{what}; is Kafka up?")


def transaction_refused(error: RdKafkaError, topic: str, name: str) -> BytemeterError | None:
    """The line for a transaction that an ACL, or a cluster without transactions, refused; None for any other error.

    Args:
        name: the transactional id, and the group whose offsets are committed.
    """
    rights = {
        RdKafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED: f"WRITE on the transactional id {name}",
        RdKafkaError.GROUP_AUTHORIZATION_FAILED: f"READ on the group {name}",
        RdKafkaError.TOPIC_AUTHORIZATION_FAILED: f"READ and WRITE on the topic {topic}",
        RdKafkaError.CLUSTER_AUTHORIZATION_FAILED: f"WRITE on the transactional id {name}",
    }
    if error.code() == RdKafkaError._UNSUPPORTED_FEATURE:
        return BytemeterError(f"Kafka has no transactions: {error.str()}; use Kafka 2.5 or later")
    if error.code() not in rights:
        return None
    return BytemeterError(
        f"Kafka does not let this user write to the topic {topic} in transactions: {error.str()}; "
        f"let its administrator allow {rights[error.code()]} (ACL)"
    )
