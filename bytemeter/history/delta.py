"""Lists the files of a Delta table, and commits files that others have written.

Spark's API lists no files, and commits only files that Spark has written itself. So this module calls the classes of
delta-spark behind that API, and of these only what Delta 4.0 to 4.3 have alike: ``.ci/versions`` runs its tests on
each supported Spark. Actions are those of Delta's protocol
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md), as in its log.

Delta Kernel, whose API is public, cannot take this place: its commits carry no user metadata, where end offsets are.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from bytemeter.errors import BytemeterError

Action = dict[str, Any]

# How often a commit is tried that loses against commits of others. Each try starts from the latest version.
_TRIES = 20


class ConflictError(BytemeterError):
    """Another process has changed the table in the meantime, so that a commit cannot be made as it was meant."""


@dataclass(frozen=True)
class Transactions:
    """The versions of applications' last transactions, by which a writer is exactly once.

    Attributes:
        application: the one whose version a commit must follow.
        after: its version before the commit; -1 if there is none.
        versions: what the commit sets, by application, ``application`` among them.
        place: the application whose version is the table's version that the commit was to make.
    """

    application: str
    after: int
    versions: Mapping[str, int]
    place: str


def schema(session: SparkSession, table: str) -> StructType | None:
    """The columns of a table; None if the table does not exist."""
    found = _log(session, table).startTransaction()
    return StructType.fromJson(json.loads(found.metadata().schemaString())) if found.readVersion() >= 0 else None


def create(
    session: SparkSession,
    table: str,
    columns: StructType,
    *,
    partitioned_by: Sequence[str],
    properties: Mapping[str, str],
) -> None:
    """Create an empty table by one commit, without a Spark job.

    Args:
        properties: of Delta, such as ``delta.checkpointInterval``.

    Raises:
        BytemeterError: another process has created it at the same time.
    """
    jvm: Any = session._jvm
    metadata = {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": columns.json(),
        "partitionColumns": list(partitioned_by),
        "configuration": dict(properties),
        "createdTime": time.time_ns() // 1_000_000,
    }
    transaction = _log(session, table).startTransaction()
    try:
        _commit(session, transaction, [{"metaData": metadata}], _written(jvm, "Ignore", partitioned_by, None))
    except ConflictError as error:
        raise _committed_by_another(table, str(error)) from error


def properties(session: SparkSession, table: str) -> dict[str, str]:
    """The properties of a table that exists."""
    jvm: Any = session._jvm
    metadata = _log(session, table).startTransaction().metadata()
    return dict(jvm.scala.jdk.javaapi.CollectionConverters.asJava(metadata.configuration()))


def set_properties(session: SparkSession, table: str, changed: Mapping[str, str]) -> None:
    """Change properties of a table that exists, by a commit.

    Raises:
        ConflictError: another process has committed at the same time.
    """
    listed = ", ".join(f"'{name}' = '{value}'" for name, value in changed.items())
    try:
        session.sql(f"alter table delta.`{table}` set tblproperties ({listed})")
    except Exception as error:
        if not _is_conflict(name := type(error).__name__) and not _is_conflict(str(error)):
            raise
        raise ConflictError(f"the properties of {table} were not set: {name}") from error


def latest_version(session: SparkSession, table: str) -> int:
    """The version of a table's last commit; -1 if the table does not exist."""
    return int(_log(session, table).startTransaction().readVersion())


def notes(session: SparkSession, table: str, *, most: int | None = None) -> Iterator[str]:
    """The user metadata of the latest commits that have any, the latest first.

    Args:
        most: how many commits to look at; None for all that the log still has.
    """
    latest = latest_version(session, table)
    for version in range(latest, -1 if most is None else max(latest - most, -1), -1):
        info = commit_info(session, table, version)
        if info is None:
            return
        if info.get("userMetadata"):
            yield info["userMetadata"]


def commit_info(session: SparkSession, table: str, version: int) -> dict[str, Any] | None:
    """What the log says about a commit: its operation, parameters, user metadata.

    None if Delta has removed this part of the log: it is older than a checkpoint, and older than the retention.
    """
    jvm: Any = session._jvm
    log = _log(session, table)
    commit = jvm.org.apache.spark.sql.delta.util.FileNames.unsafeDeltaFile(log.logPath(), version)
    try:
        lines = log.store().read(commit, log.newDeltaHadoopConf()).mkString("\n").splitlines()
    except Py4JJavaError as error:
        if error.java_exception.getClass().getSimpleName() != "FileNotFoundException":
            raise
        return None
    found = (json.loads(line)["commitInfo"] for line in lines if line.startswith('{"commitInfo"'))
    return next(found, {})


def append(
    session: SparkSession,
    table: str,
    additions: Sequence[Action],
    *,
    transactions: Transactions,
    partitioned_by: Sequence[str],
    note: str,
) -> None:
    """Commit files that were added, with the versions of an application's transactions.

    Delivery: once, and only if the application's last transaction has the version ``transactions.after``. Of two
    commits of an application at the same time one fails. What others have committed at the same time, such as a
    compaction or another retention, does not matter.

    Args:
        table: folder or URI of a table that exists.
        note: the commit's user metadata; no other commit has the same.

    Raises:
        BytemeterError: another process has committed for the application since.
    """
    lost = ""
    for _ in range(_TRIES):
        transaction = _log(session, table).startTransaction()
        found = _transaction_version(session, transaction, transactions.application)
        if lost and note in notes(session, table, most=_TRIES):
            # The storage has reported an error for a commit that it had written.
            return
        if found != transactions.after:
            raise _committed_by_another(table, f"its version is {found}, expected {transactions.after}")
        versions = {**transactions.versions, transactions.place: int(transaction.readVersion()) + 1}
        done = [
            {"txn": {"appId": name, "version": version, "lastUpdated": time.time_ns() // 1_000_000}}
            for name, version in versions.items()
        ]
        try:
            _commit(session, transaction, (*done, *additions), _written(session._jvm, "Append", partitioned_by, note))
        except ConflictError as error:
            lost = str(error)
        else:
            return
    raise _committed_by_another(table, f"{lost}, {_TRIES} times")


def replace(session: SparkSession, table: str, removals: Sequence[Action], additions: Sequence[Action]) -> None:
    """Commit files that have the same rows as files that they replace: readers of changes see none.

    Delivery: all of it or nothing. Appends at the same time stay.

    Raises:
        ConflictError: another process has removed one of the files, or changed the table's columns.
    """
    jvm: Any = session._jvm
    operation = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$ManualUpdate$")
    transaction = _log(session, table).startTransaction()
    _commit(session, transaction, (*removals, *additions), getattr(operation, "MODULE$"))


def transaction_versions(session: SparkSession, table: str) -> dict[str, int]:
    """By application the version of its last transaction; empty if the table does not exist."""
    transaction = _log(session, table).startTransaction()
    return _versions(session, transaction) if transaction.readVersion() >= 0 else {}


def checkpoint(session: SparkSession, table: str) -> None:
    """Write the state of a table to a checkpoint, and delete the part of the log that is older than the retention."""
    _log(session, table).checkpoint()


def removed_files(session: SparkSession, table: str) -> DataFrame:
    """The files that are no longer part of a table that exists, as long as Delta remembers them.

    Returns:
        Rows of path: string (as in ``files``), deletionTimestamp: long (milliseconds since 1970), and more.
    """
    return DataFrame(_log(session, table).startTransaction().snapshot().tombstones().toDF(), session)


def files(session: SparkSession, table: str) -> DataFrame:
    """The files that a table consists of; none if the table does not exist.

    Returns:
        Rows of path: string (below the table's folder, as a URI writes it), partitionValues: map<string, string>,
        size: long (bytes), deletionVector: struct (null where no row was deleted), and more of Delta's protocol.
    """
    return DataFrame(_log(session, table).startTransaction().snapshot().allFiles().toDF(), session)


def _log(session: SparkSession, table: str) -> Any:
    jvm: Any = session._jvm
    return jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session._jsparkSession, table)


def _transaction_version(session: SparkSession, transaction: Any, application: str) -> int:
    """The version of an application's last transaction; -1 if there is none."""
    # As Delta's ``txnVersion`` does: a commit of the application in the meantime makes this one fail.
    transaction.readTxn().append(application)
    return _versions(session, transaction).get(application, -1)


def _versions(session: SparkSession, transaction: Any) -> dict[str, int]:
    """The versions of all applications, from the checksum file that Delta writes with each commit.

    Where it has none, as for more of them than Spark's setting ``setTransactionsInCrc.maxAllowed``, Delta reads the
    whole state of the table, all its files.
    """
    jvm: Any = session._jvm
    snapshot = transaction.snapshot()
    checksum = snapshot.checksumOpt()
    known = checksum.get().setTransactions() if checksum.isDefined() else checksum
    found = snapshot.setTransactions() if known.isEmpty() else known.get()
    return {done.appId(): int(done.version()) for done in jvm.scala.jdk.javaapi.CollectionConverters.asJava(found)}


def _written(jvm: Any, mode: str, partitioned_by: Sequence[str], note: str | None) -> Any:
    """The operation that Delta records with a commit."""
    option = jvm.scala.Option.apply
    write = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
    save = jvm.org.apache.spark.sql.SaveMode.valueOf(mode)
    known = (save, option(jvm.PythonUtils.toSeq(partitioned_by)), option(None), option(note))
    # Later versions of Delta have further parameters; all of these may be left out.
    (constructor,) = write._java_lang_class.getConstructors()
    return write(*known, *(option(None) for _ in range(constructor.getParameterCount() - len(known))))


def _commit(session: SparkSession, transaction: Any, actions: Iterable[Action], operation: Any) -> None:
    jvm: Any = session._jvm
    read = [jvm.org.apache.spark.sql.delta.actions.Action.fromJson(json.dumps(action)) for action in actions]
    try:
        transaction.commit(jvm.PythonUtils.toSeq(read), operation)
    except Py4JJavaError as error:
        reason = error.java_exception.getClass().getSimpleName()
        if not _is_conflict(reason):
            raise
        raise ConflictError(reason) from error


def _is_conflict(reason: str) -> bool:
    """Whether an error of Delta says that another commit came first."""
    return any(kind in reason for kind in ("Concurrent", "MetadataChanged", "ProtocolChanged"))


def _committed_by_another(table: str, reason: str) -> BytemeterError:
    return BytemeterError(
        f"another process writes to {table} ({reason}); let one `bytemeter stream` write to it, and start that again"
    )
