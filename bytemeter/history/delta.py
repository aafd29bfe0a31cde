"""Lists the files of a Delta table, and commits files that others have written.

Spark's API lists no files, and commits only files that Spark has written itself. So this module calls the classes of
delta-spark behind that API. Actions are those of Delta's protocol
(https://github.com/delta-io/delta/blob/master/PROTOCOL.md), as in its log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import DataFrame, SparkSession

from bytemeter.errors import BytemeterError

Action = dict[str, Any]


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
    jvm: Any = session._jvm
    delta = jvm.org.apache.spark.sql.delta
    transaction = delta.DeltaLog.forTable(session._jsparkSession, table).startTransaction()
    found = transaction.txnVersion(application)
    if found != after:
        raise _committed_by_another(table, f"its version is {found}, expected {after}")
    done = {"txn": {"appId": application, "version": version, "lastUpdated": time.time_ns() // 1_000_000}}
    read = [delta.actions.Action.fromJson(json.dumps(action)) for action in (done, *actions)]
    some, none = jvm.scala.Option.apply, jvm.scala.Option.empty()
    append = getattr(delta, "DeltaOperations$Write")(
        jvm.org.apache.spark.sql.SaveMode.Append, some(jvm.PythonUtils.toSeq(partitioned_by)), none, some(note)
    )
    try:
        transaction.commit(jvm.PythonUtils.toSeq(read), append)
    except Py4JJavaError as error:
        reason = error.java_exception.getClass().getSimpleName()
        if "Concurrent" not in reason:
            raise
        raise _committed_by_another(table, reason) from error


def files(session: SparkSession, table: str) -> DataFrame:
    """The files that a table consists of; none if the table does not exist.

    Returns:
        Rows of path: string (below the table's folder, as a URI writes it), partitionValues: map<string, string>,
        size: long (bytes), deletionVector: struct (null where no row was deleted), and more of Delta's protocol.
    """
    jvm: Any = session._jvm
    log = jvm.org.apache.spark.sql.delta.DeltaLog.forTable(session._jsparkSession, table)
    return DataFrame(log.startTransaction().snapshot().allFiles().toDF(), session)


def _committed_by_another(table: str, reason: str) -> BytemeterError:
    return BytemeterError(
        f"another process writes to {table} ({reason}); let one `bytemeter stream` write to it, and start that again"
    )
