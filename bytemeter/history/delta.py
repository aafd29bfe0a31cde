"""A commit of files that are there to a Delta table.

Spark's API commits only what Spark has written itself, so this speaks to the classes of delta-spark that it speaks to,
too; actions are those of Delta's protocol (https://github.com/delta-io/delta/blob/master/PROTOCOL.md), as in its log.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

from pyspark.sql import SparkSession

Action = dict[str, Any]


def commit(
    session: SparkSession,
    table: str,
    actions: Iterable[Action],
    *,
    application: str,
    version: int,
    partitioned_by: Sequence[str],
    note: str,
) -> None:
    """Commit actions as one append, with the version of an application's transaction, unless the table has that.

    Delivery: exactly once. A version that is not above the table's last one of this application changes nothing; of two
    commits at the same time one fails.

    Args:
        table: folder or URI of a table that exists.
        note: the commit's user metadata.
    """
    jvm: Any = session._jvm
    delta = jvm.org.apache.spark.sql.delta
    transaction = delta.DeltaLog.forTable(session._jsparkSession, table).startTransaction()
    if transaction.txnVersion(application) >= version:
        return
    done = {"txn": {"appId": application, "version": version, "lastUpdated": time.time_ns() // 1_000_000}}
    read = [delta.actions.Action.fromJson(json.dumps(action)) for action in (done, *actions)]
    some, none = jvm.scala.Option.apply, jvm.scala.Option.empty()
    append = getattr(delta, "DeltaOperations$Write")(
        jvm.org.apache.spark.sql.SaveMode.Append, some(jvm.PythonUtils.toSeq(partitioned_by)), none, some(note)
    )
    transaction.commit(jvm.PythonUtils.toSeq(read), append)
