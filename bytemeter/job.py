"""A job is defined once and runs two ways: as a command of ``bytemeter``, and as a main given to ``spark-submit``."""

from __future__ import annotations

import datetime as dt
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bytemeter import logs
from bytemeter.build import require_same_build
from bytemeter.ending import Interrupted, ended_by
from bytemeter.errors import BytemeterError, first_line, without_passwords
from bytemeter.settings import PREFIX, Settings, load_settings, with_secrets

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from bytemeter.runs.recording import Run, Task

# A command imports only what it runs, so that --help answers at once.

Endpoint = Literal["kafka", "database_url", "history"]

# Who runs jobs in this process, for their records.
RUNNER: ContextVar[str] = ContextVar("runner", default="command")

CONTEXT_SETTINGS: dict[str, Any] = {"help_option_names": ["-h", "--help"], "show_default": True}
debug_option = click.option("--debug", is_flag=True, expose_value=False, help="show the traceback of an error")
SECRET_OPTION = click.Option(
    ["--database-url-secret"],
    metavar="NAME",
    help=f"projects/P/secrets/S of Secret Manager, which holds the database's URL  [{PREFIX}DATABASE_URL_SECRET]",
)
_SUBMITTED_OPTIONS = {
    "kafka": click.Option(["--kafka"], metavar="HOST:PORT", help=f"bootstrap servers  [{PREFIX}KAFKA]"),
    "database_url": click.Option(
        ["--jdbc-url"],
        metavar="URL",
        help=f"jdbc:postgresql://HOST:PORT/DB?user=U  [{PREFIX}DATABASE_URL_FILE or {PREFIX}DATABASE_URL]",
    ),
    "history": click.Option(["--history"], metavar="URI", help=f"folder or gs://bucket/prefix  [{PREFIX}HISTORY]"),
}


@dataclass(frozen=True)
class JobContext:
    """Where a job runs: on this machine, or inside ``spark-submit``.

    Attributes:
        endpoints: given names of endpoints, a context manager with the settings in which these are set.
        session: given those settings, a context manager with the Spark session, which may still be starting.
        runner: who runs the job, for its record: ``command``, ``schedule`` or ``spark-submit``.
        clock: the present instant, in UTC.
        cancel: set from another thread to end the job early.
    """

    endpoints: Callable[..., AbstractContextManager[Settings]]
    session: Callable[[Settings], AbstractContextManager[Future[SparkSession]]]
    runner: str = field(default_factory=RUNNER.get)
    clock: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC)
    cancel: threading.Event = field(default_factory=threading.Event)

    def recorded(self, settings: Settings, task: Task) -> AbstractContextManager[Run]:
        """Run a task under its lease and with a record; see ``bytemeter.runs``."""
        from bytemeter.runs.recording import recorded

        return recorded(settings, task, runner=self.runner, clock=self.clock, explain=one_line)

    def require_going_on(self) -> None:
        """End a job that was cancelled, or whose process was asked to end.

        Raises:
            Interrupted: it was.
        """
        if self.cancel.is_set():
            raise Interrupted("its caller")
        if name := ended_by():
            raise Interrupted(name)


@dataclass(frozen=True)
class Job:
    """What a job is called, what it needs and what it does.

    Attributes:
        name: the name of its command, e.g. ``hourly``.
        help: one sentence.
        needs: the endpoints that it may use; its main requires the option or the variable of each.
        params: its own arguments and options, the same both ways.
        check: takes the value of each param by name and refuses what ``run`` would refuse, before anything starts.
        run: does the job. Takes the context and the value of each param by name; prints results to standard output.
            Raises ``click.UsageError`` if options exclude each other, ``BytemeterError`` if the job fails.
    """

    name: str
    help: str
    needs: tuple[Endpoint, ...]
    params: tuple[click.Parameter, ...]
    run: Callable[..., None]
    check: Callable[..., object] = lambda **_: None

    def values(self, *arguments: str) -> dict[str, Any]:
        """The value of each param by name, as the command line would read these arguments.

        Raises:
            click.UsageError: an argument is none of its own.
        """
        return click.Command(self.name, params=list(self.params)).make_context(self.name, list(arguments)).params


def submit_main(job: Job, argv: Sequence[str] | None = None) -> int:
    """The main of a job inside ``spark-submit``; returns the exit code.

    Args:
        argv: arguments; by default those of the process.
    """
    main = getattr(sys.modules["__main__"], "__file__", None)
    return run_command(submitted_command(job, Path(main) if main else None), argv)


def submitted_command(job: Job, main: Path | None = None) -> click.Command:
    """The job as a command of its own, with an option for each endpoint that it needs.

    Args:
        main: the file that ``spark-submit`` runs; it has to be of the same build as this package.
    """

    def run(
        kafka: str | None = None,
        jdbc_url: str | None = None,
        database_url_secret: str | None = None,
        history: str | None = None,
        **options: object,
    ) -> None:
        from bytemeter.jdbc import url_from_jdbc

        if main:
            require_same_build(main)
        if jdbc_url and database_url_secret:
            raise click.UsageError("give one of --jdbc-url and --database-url-secret")
        database_url = url_from_jdbc(jdbc_url) if jdbc_url else None
        settings = with_secrets(
            load_settings(
                kafka=kafka, database_url=database_url, database_url_secret=database_url_secret, history=history
            )
        )
        _require_endpoints(job, settings)
        logs.configure(settings.log_format)
        session = partial(_submitted_session, job)
        context = JobContext(lambda *_: nullcontext(settings), lambda _: nullcontext(session()), "spark-submit")
        try:
            job.run(context, **options)
        except Exception:
            _end_log_of_spark()
            raise

    endpoints = [_SUBMITTED_OPTIONS[name] for name in job.needs]
    return debug_option(
        click.Command(
            job.name,
            callback=run,
            params=[*job.params, *endpoints, *([SECRET_OPTION] if "database_url" in job.needs else [])],
            help=job.help,
            context_settings=CONTEXT_SETTINGS,
        )
    )


def _require_endpoints(job: Job, settings: Settings) -> None:
    for name in job.needs:
        if getattr(settings, name) is None:
            variable = f"{PREFIX}{name.upper()}" + ("_FILE" if name == "database_url" else "")
            raise click.MissingParameter(
                f"Give it, or set {variable}.", click.get_current_context(), _SUBMITTED_OPTIONS[name]
            )


def run_command(command: click.Command, argv: Sequence[str] | None, name: str | None = None) -> int:
    """Run a command; 0 when done, 1 when failed (with one line on standard error), 2 on wrong usage.

    With ``--debug`` an error is raised, so that its traceback is shown.

    Args:
        argv: arguments; by default those of the process.
        name: of the program, in usage lines; by default that of the process.
    """
    arguments = sys.argv[1:] if argv is None else list(argv)
    try:
        result = command.main(args=arguments, prog_name=name, standalone_mode=False)
    except click.ClickException as error:
        error.message = without_passwords(error.message)  # type: ignore[misc]
        error.show()
        return error.exit_code
    except click.exceptions.Abort:
        click.echo("bytemeter: interrupted before it was done", err=True)
        return 1
    except Exception as error:
        if "--debug" in arguments:
            raise
        click.echo(f"bytemeter: {without_passwords(one_line(error))}", err=True)
        return 1
    return result if isinstance(result, int) else 0


def _submitted_session(job: Job) -> Future[SparkSession]:
    from bytemeter.spark import submitted_session

    handler = signal.getsignal(signal.SIGINT)
    session: Future[SparkSession] = Future()
    session.set_result(submitted_session(f"bytemeter-{job.name}"))
    # PySpark handles Ctrl-C by an error in whatever runs; the job handles it better.
    signal.signal(signal.SIGINT, handler)
    return session


def _end_log_of_spark() -> None:
    """Let the error be the last thing told: of what executors still send, a session that ends logs traces of Java."""
    if "pyspark" in sys.modules:
        from pyspark import SparkContext

        if context := SparkContext._active_spark_context:
            # A JVM that is gone logs nothing, either.
            with suppress(Exception):
                context.setLogLevel("OFF")


def one_line(error: Exception) -> str:
    """The error as one line, as a command prints it."""
    if isinstance(error, BytemeterError):
        return str(error)
    # Only a job that uses Spark has errors of Spark.
    if "pyspark" in sys.modules:
        from bytemeter.spark_errors import explained

        if known := explained(error, "the job"):
            return str(known)
    return f"unexpected {type(error).__name__}: {first_line(error)}; run again with --debug and report the traceback"
