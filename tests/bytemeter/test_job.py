"""The main of a job inside spark-submit: its options, its errors and its exit codes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import click
import pytest

from batch_layer.jobs import hourly_usage
from bytemeter.errors import BytemeterError
from bytemeter.job import Job, JobContext, submit_main

ENDPOINTS = ["--kafka", "broker:9092", "--jdbc-url", "jdbc:postgresql://db/usage?user=ann&password=s3cret"]


def print_settings(context: JobContext, *, greeting: str) -> None:
    """A job that prints what it was given."""
    with context.endpoints("kafka", "database_url") as settings:
        click.echo(f"{greeting} {settings.kafka} {settings.require_database_url()} {settings.history}")


JOB = Job(
    name="greet",
    help="Greet.",
    needs=("kafka", "database_url"),
    params=(click.Option(["--greeting"], default="hello"),),
    run=print_settings,
)


def failing(error: Exception) -> Job:
    """A job that raises the error."""

    def run(context: JobContext, *, greeting: str) -> None:
        raise error

    return replace(JOB, run=run)


def test_a_job_gets_its_options_and_settings_with_its_endpoints(capsys: pytest.CaptureFixture[str]) -> None:
    assert submit_main(JOB, [*ENDPOINTS, "--greeting", "hi"]) == 0
    assert capsys.readouterr().out == "hi broker:9092 postgresql://ann:s3cret@db/usage None\n"


def test_endpoints_come_from_the_environment_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    url = tmp_path / "url"
    url.touch(0o600)
    url.write_text("postgresql://ann:s3cret@db/usage")
    monkeypatch.setenv("BYTEMETER_DATABASE_URL_FILE", str(url))
    monkeypatch.setenv("BYTEMETER_KAFKA", "broker:9092")
    assert submit_main(JOB, []) == 0
    assert capsys.readouterr().out == "hello broker:9092 postgresql://ann:s3cret@db/usage None\n"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ([], "Missing option '--kafka'"),
        (ENDPOINTS[:2], "Missing option '--jdbc-url'. Give it, or set BYTEMETER_DATABASE_URL_FILE."),
        ([*ENDPOINTS, "--greetin", "hi"], "No such option '--greetin'"),
        ([*ENDPOINTS, "--history", "/data"], "No such option '--history'"),
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit_main(JOB, arguments) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.parametrize(
    ("run", "line"),
    [
        (lambda: submit_main(JOB, ["--kafka", "broker", *ENDPOINTS[2:]]), "BYTEMETER_KAFKA: 'broker' is not HOST:PORT"),
        (lambda: submit_main(JOB, [*ENDPOINTS[:2], "--jdbc-url", "db"]), "the JDBC URL "),
        (lambda: submit_main(failing(BytemeterError("no luck; try again")), ENDPOINTS), "no luck; try again"),
        (
            lambda: submit_main(failing(RuntimeError("a bug\nin two lines")), ENDPOINTS),
            "unexpected RuntimeError: a bug; run again with --debug and report the traceback",
        ),
        (
            lambda: submit_main(failing(RuntimeError("bad://ann:s3cr:e@t@db/usage?user=u&password=s3cret")), ENDPOINTS),
            "unexpected RuntimeError: bad://ann:***@db/usage?user=u&password=***; run again",
        ),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    run: Callable[[], int], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 1
    (written,) = capsys.readouterr().err.splitlines()
    assert written.startswith(f"bytemeter: {line}")


def test_a_password_among_the_arguments_is_not_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert submit_main(JOB, ENDPOINTS[3:]) == 2
    error = capsys.readouterr().err
    assert "unexpected extra argument (jdbc:postgresql://db/usage?user=ann&password=***)" in error
    assert "s3cret" not in error


def test_debug_shows_the_traceback() -> None:
    with pytest.raises(BytemeterError, match="no luck"):
        submit_main(failing(BytemeterError("no luck")), [*ENDPOINTS, "--debug"])


def test_help_exits_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert submit_main(JOB, ["--help"]) == 0
    assert "Greet." in capsys.readouterr().out


def test_values_are_those_that_the_command_line_would_read() -> None:
    values = hourly_usage.JOB.values("--dirty", "--over")
    assert (values["hour"], values["dirty"], values["over"], values["dry_run"]) == (None, True, True, False)
    assert hourly_usage.JOB.check(**values) is None
