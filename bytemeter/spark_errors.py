"""What an error of Spark means, by the classes of its causes: an outage to wait for, or a fault that ends the job."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from subprocess import TimeoutExpired
from typing import Any

from py4j.protocol import Py4JError, Py4JJavaError, Py4JNetworkError
from pyspark import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql.streaming.query import StreamingQuery

from bytemeter.cluster_jars import remedy
from bytemeter.errors import BytemeterError, TransientError, UnknownHostError, first_line
from bytemeter.postgres_errors import is_outage
from bytemeter.storage_errors import Answer, answer_of, reason_of
from bytemeter.versions import installed_spark

_KAFKA = "org.apache.kafka.common"
_MOST_CAUSES = 50
# How long a JVM whose connection broke is given to end.
_DEATH_S = 2.0
# With which Spark's JVM ends: org.apache.spark.util.SparkExitCode.OOM.
_OUT_OF_MEMORY = 52
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT}
# Java has no class for it: the message is that of the operating system.
_NO_SPACE = "No space left on device"
# The last line of a Python traceback, as Spark passes it on: the class and the message.
_PYTHON_ERROR = re.compile(r"^(?P<name>[A-Za-z_][\w.]*(?:Error|Exception))\b:? ?(?P<message>.*)$", re.MULTILINE)
_ERRNO = re.compile(r"\[Errno (\d+)\]|errno: (\d+)")


@dataclass(frozen=True)
class Thrown:
    """One error in a chain of causes.

    Attributes:
        classes: its class, then the classes that this one extends; of Python only the class.
        message: its first line.
        state: the SQLSTATE, of errors of PostgreSQL's JDBC driver.
        storage: what Google Cloud Storage answered, of errors of its clients.
    """

    classes: tuple[str, ...]
    message: str
    state: str = ""
    storage: Answer | None = None

    def is_a(self, *classes: str) -> bool:
        """Whether it is an error of one of these classes."""
        return not set(classes).isdisjoint(self.classes)

    @property
    def line(self) -> str:
        """Its class and its message."""
        return f"{self.classes[0]}: {self.message}"


@dataclass(frozen=True)
class _Meaning:
    """Errors that mean the same.

    Attributes:
        applies: whether an error has this meaning.
        kind: of the error to raise.
        text: what happened, and what to do; with the error as ``{line}``, or without its class as ``{message}``.
    """

    applies: Callable[[Thrown], bool]
    kind: type[BytemeterError]
    text: str


def _is_a(*classes: str) -> Callable[[Thrown], bool]:
    return lambda thrown: thrown.is_a(*classes)


def _is_disk_full(thrown: Thrown) -> bool:
    number = _ERRNO.search(thrown.message)
    return _NO_SPACE in thrown.message or bool(number and int(number[1] or number[2]) in _DISK_FULL)


# In this order: Kafka's class for a corrupt batch extends that of errors which a retry may mend.
_MEANINGS: Sequence[_Meaning] = (
    _Meaning(
        _is_a("java.lang.OutOfMemoryError", "MemoryError", "pyarrow.lib.ArrowMemoryError"),
        BytemeterError,
        "ran out of memory: {line}; raise BYTEMETER_DRIVER_MEMORY, or lower BYTEMETER_MAX_RECORDS_PER_BATCH",
    ),
    _Meaning(
        # Code that calls another version of a library than it was built with, e.g. a method that is gone.
        _is_a("java.lang.IncompatibleClassChangeError", "java.lang.NoClassDefFoundError"),
        BytemeterError,
        f"has jars of versions that do not fit each other: {{line}}; {remedy(installed_spark())}",
    ),
    _Meaning(
        lambda thrown: thrown.is_a("org.apache.spark.SparkException") and "Python worker exited" in thrown.message,
        BytemeterError,
        "lost a Python worker: {line}; if the system killed it, give the machine more memory",
    ),
    _Meaning(
        _is_a(f"{_KAFKA}.errors.AuthenticationException"),
        BytemeterError,
        "was refused by Kafka: {line}; check BYTEMETER_KAFKA_SASL_* and BYTEMETER_KAFKA_SSL_CA_LOCATION",
    ),
    _Meaning(
        _is_a(f"{_KAFKA}.errors.AuthorizationException"),
        BytemeterError,
        "was refused by Kafka: {line}; let its administrator allow the user to read the topic (ACL)",
    ),
    _Meaning(
        _is_a(f"{_KAFKA}.errors.CorruptRecordException"),
        BytemeterError,
        "read a corrupt batch: {line}; restore the topic's log from a replica or a backup",
    ),
    _Meaning(
        _is_a("org.apache.spark.sql.kafka010.KafkaIllegalStateException", f"{_KAFKA}.errors.OffsetOutOfRangeException"),
        BytemeterError,
        "lacks messages that Kafka has deleted: {line}; lengthen the topic's retention.ms, and start over",
    ),
    _Meaning(
        _is_a(f"{_KAFKA}.config.ConfigException"),
        UnknownHostError,
        "cannot use its servers: {line}; check BYTEMETER_KAFKA",
    ),
    _Meaning(lambda thrown: thrown.state == "42P01", BytemeterError, "needs a table: {line}; run `bytemeter migrate`"),
    _Meaning(_is_disk_full, TransientError, "found a disk full: {line}; make room"),
    _Meaning(lambda thrown: bool(thrown.state) and is_outage(thrown.state), TransientError, "lost PostgreSQL: {line}"),
    _Meaning(
        _is_a(
            f"{_KAFKA}.errors.RetriableException",
            "java.util.concurrent.TimeoutException",
            "java.net.SocketException",
            "java.net.SocketTimeoutException",
            "java.net.UnknownHostException",
            "java.nio.channels.ClosedChannelException",
            "javax.net.ssl.SSLException",
        ),
        TransientError,
        "lost a server: {line}",
    ),
    # Kafka's consumer has no class for a batch whose checksum is wrong.
    _Meaning(
        lambda thrown: thrown.classes[0] == f"{_KAFKA}.KafkaException",
        BytemeterError,
        "cannot read Kafka: {line}; if a batch is corrupt, restore the topic's log from a replica or a backup",
    ),
    _Meaning(
        lambda thrown: thrown.storage is Answer.NO_LOGIN,
        BytemeterError,
        "is refused by Google Cloud Storage: {line}; check GOOGLE_APPLICATION_CREDENTIALS, or run `gcloud auth "
        "application-default login`",
    ),
    _Meaning(
        lambda thrown: thrown.storage is Answer.NO_RIGHT,
        BytemeterError,
        "lacks a right to the bucket: {line}; grant the role Storage Object User on it",
    ),
    _Meaning(
        lambda thrown: thrown.storage is Answer.MISSING,
        BytemeterError,
        "lacks a bucket or an object: {line}; check the bucket of BYTEMETER_HISTORY",
    ),
    _Meaning(lambda thrown: thrown.storage is Answer.AWAY, TransientError, "lost a server: {line}"),
    _Meaning(_is_a("bytemeter.errors.BytemeterError"), BytemeterError, "cannot go on: {message}"),
)


def explained(error: BaseException, who: str) -> BytemeterError | None:
    """The error as one line that says what to do; None if it is a fault of ours.

    Args:
        error: of pyspark or py4j, or one that Python code on the driver raised.
        who: the subject of the line, such as ``the query live-devices``.

    Returns:
        TransientError: a server was lost, or a disk is full; a retry may succeed.
        UnknownHostError: no bootstrap server has a known host name.
        BytemeterError: memory ran out, Spark's JVM died, Kafka refused the user, or messages are gone or corrupt.
    """
    if died := _death_of_jvm(error):
        return BytemeterError(f"{who} lost Spark's JVM, {died}; read spark.out in the folder logs, and start it again")
    # The innermost cause says most.
    chain = list(causes(error))[::-1]
    for meaning in _MEANINGS:
        for thrown in chain:
            if meaning.applies(thrown):
                return meaning.kind(f"{who} {meaning.text.format(line=thrown.line, message=thrown.message)}")
    return None


def error_of(query: StreamingQuery) -> Exception | None:
    """The error with which a streaming query ended, with its causes; None if it has not failed."""
    error: Any = query.exception()
    if error is not None:
        # pyspark keeps the text only.
        error._origin = query._jsq.exception().get()
    return error  # type: ignore[no-any-return]


def causes(error: BaseException) -> Iterator[Thrown]:
    """The error and its causes, as far as they are Java's, or a Python worker's as Spark passes them on."""
    java = error.java_exception if isinstance(error, Py4JJavaError) else getattr(error, "_origin", None)
    if java is not None:
        yield from _java_causes(java)
    elif isinstance(error, PySparkException):
        yield from _python_error(str(error))
        cause = getattr(error, "_cause", None)
        if cause is not None:
            yield from causes(cause)
    else:
        yield _of_python(type(error).__name__, first_line(error))


def _java_causes(java: Any) -> Iterator[Thrown]:
    for _ in range(_MOST_CAUSES):
        if java is None:
            return
        message = java.getMessage() or ""
        classes = tuple(_class_and_superclasses(java.getClass()))
        state = java.getSQLState() or "" if "java.sql.SQLException" in classes else ""
        storage = answer_of(classes, message)
        yield Thrown(classes, reason_of(message) if storage else first_line(message), state, storage)
        if classes[0] == "org.apache.spark.api.python.PythonException":
            yield from _python_error(message)
        java = java.getCause()


def _class_and_superclasses(java_class: Any) -> Iterator[str]:
    while java_class is not None:
        yield java_class.getName()
        java_class = java_class.getSuperclass()


def _python_error(text: str) -> Iterator[Thrown]:
    """The error at the end of a Python worker's traceback."""
    found = list(_PYTHON_ERROR.finditer(text))
    if found:
        yield _of_python(found[-1]["name"], found[-1]["message"])


def _of_python(name: str, message: str) -> Thrown:
    storage = answer_of((name,), message)
    return Thrown((name,), reason_of(message) if storage else message, storage=storage)


def _death_of_jvm(error: BaseException) -> str | None:
    """How Spark's JVM ended, if the error came from a JVM that this process started and that has ended."""
    lost = isinstance(error, Py4JNetworkError | ConnectionError) or (
        isinstance(error, Py4JError) and not isinstance(error, Py4JJavaError)
    )
    process = getattr(SparkContext._gateway, "proc", None)
    if not lost or process is None:
        return None
    try:
        code: int = process.wait(_DEATH_S)
    except TimeoutExpired:
        return None
    if code == _OUT_OF_MEMORY:
        return "which ran out of memory (raise BYTEMETER_DRIVER_MEMORY)"
    return f"which was killed by signal {-code}" if code < 0 else f"which ended with exit code {code}"
