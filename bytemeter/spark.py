"""Spark sessions, local or inside spark-submit: UTC, the connectors' jars, and settings for small micro-batches."""

from __future__ import annotations

import atexit
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen, TimeoutExpired
from typing import Any

from pyspark import SparkConf, SparkContext
from pyspark.java_gateway import launch_gateway
from pyspark.sql import SparkSession

from bytemeter.class_archive import ClassArchive, class_archive
from bytemeter.cluster_check import require_fitting_executors
from bytemeter.cluster_jars import require_fitting_jars
from bytemeter.ending import uninterrupted
from bytemeter.errors import BytemeterError
from bytemeter.history import storage
from bytemeter.jars import bundled_jars, spark_jars
from bytemeter.java import java_home
from bytemeter.spark_errors import causes, explained
from bytemeter.versions import installed_spark, minor, release_of

_LOGGING = """rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
appender.file.type=File
appender.file.name=file
appender.file.fileName={log}
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d %-5p %c: %m%n%ex
"""

# HotSpot compiles no method of more than 8,000 bytes of bytecode, but interprets it. A stage whose generated code would
# be longer runs faster operator by operator.
_LONGEST_COMPILED_METHOD = "8000"

# HotSpot's first compiler (C1) only: the second (C2) uses half a core for minutes, which pays off only for millions of
# records. With C1 alone the code cache would be smaller by default, and code would be evicted and compiled again.
_C1_ONLY = " -XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m"
_BACKGROUND_NICENESS = 10

# How long the JVM may take for its end: it deletes its temporary files.
_END_S = 5.0

# Our own setting: the class archive that the session's JVM writes when it ends; empty if none.
_ARCHIVE = "spark.bytemeter.classArchive"

# An Arrow batch may exceed this by its last row.
BATCH_BYTES = 16 * 2**20

SHARED = {
    "spark.sql.session.timeZone": "UTC",
    # Plans show the options of the Kafka source, the login among them.
    "spark.sql.redaction.string.regex": r'''(?i)password\s*=\s*"(\\.|[^"\\])*"''',
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.scheduler.mode": "FAIR",
    "spark.sql.streaming.stopTimeout": "60000",
    "spark.databricks.delta.snapshotPartitions": "2",
    # A table has one for each partition of its topic. Beyond this Delta reads the whole table's state at each commit.
    "spark.databricks.delta.setTransactionsInCrc.maxAllowed": "10000",
    "spark.sql.codegen.hugeMethodLimit": _LONGEST_COMPILED_METHOD,
    # Of an Arrow batch, which is what Python functions on the executors receive at a time.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "50000",
    "spark.sql.execution.arrow.maxBytesPerBatch": str(BATCH_BYTES),
    # Records that a task has fetched beyond the end of its range of offsets. Spark keeps them for five minutes, of each
    # task: of large messages that fills the heap.
    "spark.kafka.consumer.fetchedData.cache.timeout": "5s",
    "spark.kafka.consumer.fetchedData.cache.evictorThreadRunInterval": "1s",
}


# In force unless ``spark-submit`` says otherwise.
_CLOSED = {
    "spark.ui.enabled": "false",
    "spark.acls.enable": "true",
    "spark.authenticate": "true",
}
_SECRET = "spark.authenticate.secret"  # noqa: S105, the name of a setting


def submitted_session(name: str) -> SparkSession:
    """The session of a job run by ``spark-submit``, which sets the master, the memory and the jars.

    Unless ``spark-submit`` says otherwise, it has no web interface, and its processes authenticate each other.

    Raises:
        BytemeterError: Spark's version is not supported, its jars do not fit (see ``require_fitting_jars``), the
            cluster does not take it, its processes are to authenticate each other but have no secret for it, or its
            executors lack what they need (see ``require_fitting_executors``).
    """
    release_of(installed_spark())
    SparkContext._ensure_initialized()
    require_fitting_jars(SparkContext._jvm)
    given = SparkConf()
    closed = {key: value for key, value in _CLOSED.items() if not given.contains(key)}
    try:
        session = _configured(SparkSession.builder.appName(name), {**SHARED, **closed}).getOrCreate()
    except Exception as error:
        raise _explained(error, given.get("spark.master", "local")) from error
    require_fitting_executors(session.sparkContext)
    storage.use(session, storage.Login.of(os.environ))
    return session


def _explained(error: Exception, master: str) -> Exception:
    """The error of a session that did not start, in one line."""
    if _SECRET in str(error):
        return BytemeterError(
            f"{_SECRET} is not set, by which Spark's processes authenticate each other; give it to the cluster, and to "
            "spark-submit in a --properties-file, or turn it off: --conf spark.authenticate=false"
        )
    if known := explained(error, "the session"):
        return known
    # Only Spark's log tells why a master did not answer.
    *_, innermost = causes(error)
    return BytemeterError(
        f"the cluster {master} does not take the job: {innermost.line}; it has to run Spark {minor(installed_spark())} "
        f"as this driver does, to be reachable from here and to have the same {_SECRET}"
    )


def local_session(
    name: str,
    *,
    logs: Path,
    memory: str = "2g",
    cores: str = "*",
    gcs: bool = False,
    background: bool = False,
    writes_archive: bool = False,
) -> SparkSession:
    """A session in this process and on this machine.

    Args:
        logs: the folder of ``spark.log`` and of what the JVM prints (``spark.out``).
        memory: of the JVM.
        cores: ``*`` for all.
        gcs: include the connector for gs://.
        background: use less of the processor (low priority, C1 compiler only), at the price of throughput.
        writes_archive: let the JVM write a class archive at its end if there is none yet; see ``keep_archive``.

    Raises:
        BytemeterError: there is no supported Java, the jars could not be resolved, or Spark did not start.
    """
    home = java_home()
    os.environ["JAVA_HOME"] = str(home)
    # The Python workers run this interpreter; by default they run the python3 of the PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    logs.mkdir(parents=True, exist_ok=True)
    logging = logs / "log4j2.properties"
    logging.write_text(_LOGGING.format(log=logs / "spark.log"))
    jars = spark_jars(gcs=gcs)
    archive = class_archive(home, [*jars, *bundled_jars()])
    writes = writes_archive and not archive.exists()
    java = f'"-Dlog4j2.configurationFile={logging}" -Duser.timezone=UTC -XX:+UseParallelGC'
    if writes or archive.exists():
        java = f"{java} {archive.options_to_write() if writes else archive.options_to_use()}"
    local = {
        **SHARED,
        "spark.driver.memory": memory,
        "spark.driver.extraJavaOptions": java + (_C1_ONLY if background else ""),
        "spark.driver.extraClassPath": os.pathsep.join(map(str, jars)),
        _ARCHIVE: str(archive.path) if writes else "",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        # Other users of the machine can reach the ports of the session; Spark chooses the secret.
        "spark.authenticate": "true",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.shuffle.partitions": str(os.cpu_count() or 2),
        "spark.sql.warehouse.dir": str(logs.absolute() / "warehouse"),
        "spark.python.daemon.module": "bytemeter.python_daemon",
        # A task for whose messages the heap is too small fails, and does not end the JVM: fewer are read then.
        "spark.executor.killOnFatalError.depth": "0",
        "spark.local.dir": tempfile.gettempdir(),
        # Hadoop's own file systems start a process to set a file's mode, and more for checksums and links.
        "spark.sql.streaming.checkpointFileManagerClass": release_of(installed_spark()).plain_files,
        "spark.hadoop.fs.file.impl": "com.globalmentor.apache.hadoop.fs.NakedLocalFileSystem",
        "spark.hadoop.fs.AbstractFileSystem.file.impl": "org.apache.hadoop.fs.local.RawLocalFs",
        # By default Hadoop lets everybody read its files, whatever the umask.
        "spark.hadoop.fs.permissions.umask-mode": f"{_umask():03o}",
    }
    builder = _configured(SparkSession.builder.appName(name).master(f"local[{cores}]"), local)
    output = logs / "spark.out"
    try:
        with ThreadPoolExecutor(1) as starting:
            if background and sys.platform == "linux":
                # On Linux niceness belongs to the thread, and is inherited by the processes that the thread starts.
                starting.submit(os.nice, _BACKGROUND_NICENESS)
            starting.submit(_start_jvm, local, output).result()
            session: SparkSession = starting.submit(builder.getOrCreate).result()
            # Spark's server for accumulators would print a traceback when the JVM ends.
            vars(session.sparkContext._accumulatorServer)["handle_error"] = lambda *_: None
            storage.use(session, storage.Login.of(os.environ))
            return session
    except BytemeterError:
        raise
    except Exception as error:
        raise BytemeterError(f"Spark did not start: {error!r}; read {output}") from error


def use_in_this_thread(session: SparkSession) -> None:
    """Make it the active session of this thread: Delta asks for that one when it reads a checkpoint."""
    jvm: Any = session._jvm
    SparkSession._get_j_spark_session_class(jvm).setActiveSession(session._jsparkSession)


def keep_archive(session: SparkSession) -> None:
    """If the session's JVM writes a class archive, end both and keep the archive for later starts.

    That takes some seconds, once for each installation.
    """
    # As of the start of the JVM: a session of a JVM that was running before has the settings of this one, too.
    path = session.sparkContext.getConf().get(_ARCHIVE, "")
    gateway = SparkContext._gateway
    if path and gateway:
        session.stop()
        gateway.shutdown()
        # The JVM ends when its standard input does.
        gateway.proc.communicate()
        ClassArchive(Path(path)).keep()


def _umask() -> int:
    """The umask of this process. To read it is to set it: other threads may make files now, which nobody is to read."""
    umask = os.umask(0o077)
    os.umask(umask)
    return umask


def _start_jvm(settings: dict[str, str], output: Path) -> None:
    """Start Spark's JVM, unless this process has one; the JVM appends its standard error to a file."""
    if SparkContext._gateway is None:
        with output.open("ab") as errors, _signals_ignored(output.parent):
            gateway = launch_gateway(SparkConf().setAll(list(settings.items())), {"stderr": errors})
        SparkContext._ensure_initialized(gateway=gateway)
        atexit.register(_end_jvm, gateway.proc)


@contextmanager
def _signals_ignored(folder: Path) -> Iterator[None]:
    """Let the JVM that is started here ignore the signals that end a command.

    Service managers signal all processes of a service. Then this process ends the JVM after its queries; a JVM that
    ended itself would let them fail. Spark starts it by a shell, which reads the file that ``BASH_ENV`` names, and what
    a shell ignores is ignored by what it starts.
    """
    before = os.environ.get("BASH_ENV")
    script = folder / "ignore_signals.sh"
    script.write_text(f"trap '' HUP INT TERM\n{f'. {shlex.quote(before)}' if before else ''}\n")
    os.environ["BASH_ENV"] = str(script.absolute())
    try:
        yield
    finally:
        del os.environ["BASH_ENV"]
        if before:
            os.environ["BASH_ENV"] = before


def _end_jvm(jvm: Popen[bytes]) -> None:
    """Wait for the end of the JVM, so that no process outlives this one. It ends when its standard input does."""
    # The command is done: a signal that comes now changes nothing any more.
    with uninterrupted():
        if jvm.stdin:
            jvm.stdin.close()
        try:
            jvm.wait(_END_S)
        except TimeoutExpired:
            jvm.kill()


def _configured(builder: SparkSession.Builder, settings: dict[str, str]) -> SparkSession.Builder:
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder
