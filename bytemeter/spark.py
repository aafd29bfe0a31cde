"""The Spark session of all layers: UTC, our jars, and settings that suit small micro-batches."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pyspark.sql import SparkSession

from bytemeter.errors import BytemeterError
from bytemeter.jars import spark_jars
from bytemeter.java import java_home

_LOGGING = """rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
appender.file.type=File
appender.file.name=file
appender.file.fileName={log}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %-5p %c: %m%n%ex
"""

# HotSpot compiles no method over 8,000 bytes of bytecode. A stage whose generated code would be longer is better run
# operator by operator.
_LONGEST_COMPILED_METHOD = "8000"

# HotSpot's first compiler alone: the second takes half a core for minutes, which only pays with millions of records.
# The cache is as large as for both, else the same code is compiled again and again.
_COMPILED_ONCE = " -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
_BEHIND_OTHERS = 10

_PLAIN_FILES = "org.apache.spark.sql.execution.streaming.FileSystemBasedCheckpointFileManager"

SHARED = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.scheduler.mode": "FAIR",
    "spark.sql.streaming.stopTimeout": "60000",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.codegen.hugeMethodLimit": _LONGEST_COMPILED_METHOD,
    # The rows of a micro-batch come to the driver in pieces of this many.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
}


def submitted_session(name: str) -> SparkSession:
    """The session inside ``spark-submit``, which brings master, memory and jars."""
    return _configured(SparkSession.builder.appName(name), SHARED).getOrCreate()


def local_session(
    name: str, *, logs: Path, memory: str = "2g", cores: str = "*", gcs: bool = False, background: bool = False
) -> SparkSession:
    """A session of this machine, its log in ``logs/spark.log``.

    Args:
        background: leave the processor to other programs rather than be fast with millions of records.

    Raises:
        BytemeterError: no supported Java, or the jars could not be resolved.
    """
    os.environ["JAVA_HOME"] = str(java_home())
    # Spark's Python workers are of this interpreter, whatever python3 is on the PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    logs.mkdir(parents=True, exist_ok=True)
    logging = logs / "log4j2.properties"
    logging.write_text(_LOGGING.format(log=logs / "spark.log"))
    jars = [str(jar) for jar in spark_jars(gcs=gcs)]
    java = f"-Dlog4j2.configurationFile={logging} -Duser.timezone=UTC -XX:+UseParallelGC"
    local = {
        **SHARED,
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": java + (_COMPILED_ONCE if background else ""),
        "spark.driver.extraClassPath": os.pathsep.join(jars),
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
        "spark.sql.warehouse.dir": str(logs.absolute() / "warehouse"),
        "spark.local.dir": tempfile.gettempdir(),
        # Hadoop starts a process to set a file's mode, and more for checksums and links.
        "spark.sql.streaming.checkpointFileManagerClass": _PLAIN_FILES,
        "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
    }
    builder = _configured(SparkSession.builder.appName(name).master(f"local[{cores}]"), local)
    output = logs / "spark.out"
    try:
        with _standard_error_to(output), ThreadPoolExecutor(1) as starting:
            if background and sys.platform == "linux":
                # There the priority is the thread's, and that of the processes that it starts.
                starting.submit(os.nice, _BEHIND_OTHERS)
            return starting.submit(builder.getOrCreate).result()
    except Exception as error:
        raise BytemeterError(f"Spark did not start: {error!r}; {output} tells why") from error


@contextmanager
def _standard_error_to(path: Path) -> Iterator[None]:
    """Let a process that is started inside write its standard error to a file, for as long as it lives."""
    ours = os.dup(2)
    with path.open("ab") as output:
        os.dup2(output.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)


def _configured(builder: SparkSession.Builder, settings: dict[str, str]) -> SparkSession.Builder:
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder
