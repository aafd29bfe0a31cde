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
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

from bytemeter.errors import BytemeterError

Action = dict[str, Any]


def schema(session: SparkSession, table: str) -> StructType | None:
    """The columns of a table; None if the table does not exist."""
    found = _log(session, table).startTransaction()
    return StructType.fromJson(json.loads(found.metadata().schemaString())) if found.readVersion() >= 0 else None


def create(session: SparkSession, table: str, columns: StructType, *, partitioned_by: Sequence[str]) -> None:
    """Create an empty table by one commit, without a Spark job.

    Raises:
        BytemeterError: another process has created it at the same time.
    """
    jvm: Any = session._jvm
    metadata = {
        "id": str(uuid.uuid4()),
        "format": {"provider": "parquet", "options": {}},
        "schemaString": columns.json(),
        "partitionColumns": list(partitioned_by),
        "configuration": {},
        "createdTime": time.time_ns() // 1_000_000,
    }
    transaction = _log(session, table).startTransaction()
    _commit(session, table, transaction, [{"metaData": metadata}], _written(jvm, "Ignore", partitioned_by, None))


def notes(session: SparkSession, table: str, *, most: int) -> Iterator[str]:
    """The user metadata of the latest ``most`` commits that have any, the latest first."""
    jvm: Any = session._jvm
    log = _log(session, table)
    latest, hadoop = log.startTransaction().readVersion(), log.newDeltaHadoopConf()
    for version in range(latest, max(latest - most, -1), -1):
        commit = jvm.org.apache.spark.sql.delta.util.FileNames.unsafeDeltaFile(log.logPath(), version)
        try:
            lines = log.store().read(commit, hadoop).mkString("\n").splitlines()
        except Py4JJavaError as error:
            if error.java_exception.getClass().getSimpleName() != "FileNotFoundException":
                raise
            # Delta has removed this part of the log: it is older than a checkpoint, and older than a month.
            return
        infos = (json.loads(line)["commitInfo"] for line in lines if line.startswith('{"commitInfo"'))
        yield from (info["userMetadata"] for info in infos if info.get("userMetadata"))


def commit(
    session: SparkSession,
    table: str,
    actions: Iterable[Action],
    *,
    application: str,
    after: int,
    version: int,
    partitioned_by: Sequence[str],
    note: str,
) -> None:
    """Commit actions as one append, with the version of an application's transaction.

    Delivery: once, and only if the application's last transaction has the version ``after``. Of two commits at the same
    time one fails.

    Args:
        table: folder or URI of a table that exists.
        after: the version of the application's last transaction; -1 if there is none.
        note: the commit's user metadata.

    Raises:
        BytemeterError: another process has committed since.
    """
    transaction = _log(session, table).startTransaction()
    found = _transaction_version(session, transaction, application)
    if found != after:
        raise _committed_by_another(table, f"its version is {found}, expected {after}")
    done = {"txn": {"appId": application, "version": version, "lastUpdated": time.time_ns() // 1_000_000}}
    _commit(session, table, transaction, (done, *actions), _written(session._jvm, "Append", partitioned_by, note))


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
    """The version of an application's last transaction; -1 if there is none.

    Delta's own ``txnVersion`` reads the whole state of the table, all its files, at each commit. The checksum file that
    Delta writes with each commit has the versions, too.
    """
    jvm: Any = session._jvm
    checksum = transaction.snapshot().checksumOpt()
    known = checksum.get().setTransactions() if checksum.isDefined() else checksum
    if known.isEmpty():
        return int(transaction.txnVersion(application))
    # As ``txnVersion`` does: a commit of the application in the meantime makes this one fail.
    transaction.readTxn().append(application)
    versions = {done.appId(): done.version() for done in jvm.scala.jdk.javaapi.CollectionConverters.asJava(known.get())}
    return int(versions.get(application, -1))


def _written(jvm: Any, mode: str, partitioned_by: Sequence[str], note: str | None) -> Any:
    """The operation that Delta records with a commit."""
    option = jvm.scala.Option.apply
    write = getattr(jvm.org.apache.spark.sql.delta, "DeltaOperations$Write")
    save = jvm.org.apache.spark.sql.SaveMode.valueOf(mode)
    known = (save, option(jvm.PythonUtils.toSeq(partitioned_by)), option(None), option(note))
    # Later versions of Delta have further parameters; all of these may be left out.
    (constructor,) = write._java_lang_class.getConstructors()
    return write(*known, *(option(None) for _ in range(constructor.getParameterCount() - len(known))))


def _commit(session: SparkSession, table: str, transaction: Any, actions: Iterable[Action], operation: Any) -> None:
    jvm: Any = session._jvm
    read = [jvm.org.apache.spark.sql.delta.actions.Action.fromJson(json.dumps(action)) for action in actions]
    try:
        transaction.commit(jvm.PythonUtils.toSeq(read), operation)
    except Py4JJavaError as error:
        reason = error.java_exception.getClass().getSimpleName()
        if "Concurrent" not in reason:
            raise
        raise _committed_by_another(table, reason) from error


def _committed_by_another(table: str, reason: str) -> BytemeterError:
    return BytemeterError(
        f"another process writes to {table} ({reason}); let one `bytemeter stream` write to it, and start that again"
    )
