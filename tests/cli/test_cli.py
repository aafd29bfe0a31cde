"""The command line: each command has help, each mistake one line and its exit code."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from sqlalchemy.engine import make_url

from batch_layer.jobs import hourly_usage, monthly_usage
from bytemeter.settings import Settings
from cli.main import cli, main
from embedded.home import Home
from speed_layer.jobs import stream_usage
from tests.commands import endpoints, fake_java

Rows = Callable[..., list[tuple[Any, ...]]]


def commands(group: click.Group, *path: str) -> list[tuple[str, ...]]:
    """The paths of all commands of the group."""
    paths: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        paths += commands(command, *path, name) if isinstance(command, click.Group) else [(*path, name)]
    return paths


@pytest.mark.parametrize("path", commands(cli), ids=" ".join)
def test_every_command_has_help_and_is_documented(path: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    if path != ("psql",):  # its options are psql's
        assert main([*path, "--help"]) == 0
        assert "Usage: bytemeter" in capsys.readouterr().out
    assert f"bytemeter {' '.join(path)}" in Path("docs/commands.md").read_text()


@pytest.mark.parametrize(
    ("path", "main_of_job", "own"),
    [
        ("stream", stream_usage.main, {"--kafka", "--jdbc-url", "--database-url-secret", "--history", "--debug"}),
        ("batch hourly", hourly_usage.main, {"--jdbc-url", "--database-url-secret", "--history", "--debug"}),
        (
            "batch monthly",
            monthly_usage.main,
            {"--kafka", "--jdbc-url", "--database-url-secret", "--history", "--debug"},
        ),
    ],
)
def test_a_job_has_the_same_options_as_a_command_and_as_a_main(
    path: str, main_of_job: Callable[[list[str]], int], own: set[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path.split(), "--help"]) == 0
    command = options(capsys.readouterr().out)
    assert main_of_job(["--help"]) == 0
    assert options(capsys.readouterr().out) == command | own


def options(help_text: str) -> set[str]:
    """The options that a help text lists."""
    return set(re.findall(r"--[a-z-]+", help_text.partition("Options:")[2]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["stream", "--onec"],
        ["batch", "hourly"],
        ["batch", "hourly", "--dirty", "--hour", "2026-11-21T10"],
        ["batch", "monthly"],
        ["batch", "monthly", "--dirty", "--month", "2026-11"],
        ["import", ".", "--format", "asn1"],
        ["import", ".", "--schema", "pyproject.toml", "--mapping", "pyproject.toml"],
        ["simulate", "agreements", "--late", "2"],
        ["simulate", "telemetry", "--unknown", "2"],
        ["replay", "telemetry"],
        ["replay", "devices", "--from", "2026-11-21T10:00"],
    ],
)
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "Usage: bytemeter" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--kafka", "nonsense", "status"], "BYTEMETER_KAFKA: 'nonsense' is not HOST:PORT"),
        (["--kafka", "127.0.0.1:1", "provision"], "BYTEMETER_KAFKA is set but BYTEMETER_DATABASE_URL is not"),
        (["--database-url", "postgresql://u:p@127.0.0.1:1/d", "provision"], "cannot be reached"),
        (
            ["--kafka", "127.0.0.1:1", "simulate", "devices", "--records", "1"],
            "Kafka at 127.0.0.1:1 cannot be reached",
        ),
        (["--database-url", "postgresql://h/d", "api", "--host", "0.0.0.0"], "--host 0.0.0.0 can be reached by others"),  # noqa: S104
        (["--kafka", "127.0.0.1:1", "collector", "--host", "0.0.0.0"], "--host 0.0.0.0 can be reached by others"),  # noqa: S104
        (["demo", "--for", "soon"], "'soon' is not a duration; give e.g. 60s"),
        (["batch", "hourly", "--hour", "ten"], "'ten' is not the start of an hour"),
        (["replay", "telemetry", "--from", "ten"], "'ten' is not a time; give e.g. 2026-11-21T10:00:00"),
        (["replay", "telemetry", "--from", "2026-11-22", "--to", "2026-11-21"], "2026-11-22 is not before --to 2026"),
        (["--kafka", "127.0.0.1:1", "stream", "phones"], "no feed 'phones'; the feeds are devices"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert error in lines[0]


def test_an_unsupported_java_is_an_error(tmp_path: Path, place: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_java(tmp_path, "11.0.2")
    done = subprocess.run(
        [sys.executable, "-m", "cli", *endpoints(place), "stream", "--once"],
        env={**os.environ, "JAVA_HOME": str(tmp_path)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith(f"bytemeter: {tmp_path}/bin/java is Java 11, Spark 4 needs 17 or 21")
    assert len(done.stderr.splitlines()) == 1


def test_a_taken_port_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port = Home(tmp_path).port("postgresql")
    Home(tmp_path).port("kafka")
    with socket.create_server(("127.0.0.1", port)):
        assert main(["--home", str(tmp_path), "psql", "-c", "select 1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert f"port {port}, chosen for the embedded postgresql, is taken by another program; stop that program" in line


def test_psql_answers(place: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([*endpoints(place), "psql", "-Atc", "select count(*) from user_metadata"]) == 0
    assert capfd.readouterr().out == "20\n"
    assert main([*endpoints(place), "psql", "-c", "select nonsense"]) == 1


def test_env_prints_the_settings_in_force(place: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*endpoints(place), "env"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"export BYTEMETER_KAFKA={place.kafka}" in lines
    secrets = [line for line in lines if line.endswith("  # secret")]
    assert [line.partition("=")[0] for line in secrets] == ["export BYTEMETER_DATABASE_URL"]
    assert secrets == lines[-1:]
    login = make_url(place.require_database_url())
    asked = 'printf \'%s %s\' "$BYTEMETER_KAFKA" "$BYTEMETER_DATABASE_URL"'
    printed = subprocess.run(
        ["sh", "-c", f'eval "$0"; {asked}', "\n".join(lines)], capture_output=True, text=True, check=True
    )
    assert printed.stdout == f"{place.kafka} {login.render_as_string(hide_password=False)}"


def test_psql_needs_one_with_tls_where_the_url_asks_for_tls(
    place: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main([*endpoints(place), "psql", "-Atc", "select 1"]) == 0
    url = make_url(place.require_database_url()).update_query_dict({"sslmode": "require"})
    given = ["--database-url", url.render_as_string(hide_password=False)]
    capfd.readouterr()
    assert main([*endpoints(place), *given, "psql", "-Atc", "select 1"]) == 1
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(
        "bytemeter: found no psql on the PATH, and the one of Bytemeter has no TLS, which sslmode=req"
    )


def test_migrate_provision_and_simulate_from_the_command_line(
    place: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rows: Rows
) -> None:
    monkeypatch.setenv("BYTEMETER_TOPIC_PREFIX", place.topic_prefix)
    rows("delete from user_metadata returning id")
    # The place of a test has the topics of feeds alone.
    assert main([*endpoints(place), "migrate"]) == 0
    assert "telemetry.failed" in capsys.readouterr().out
    assert main([*endpoints(place), "migrate"]) == 0
    assert main([*endpoints(place), "provision"]) == 0
    assert main([*endpoints(place), "simulate", "devices", "--records", "50", "--invalid", "0"]) == 0
    assert (
        main([*endpoints(place), "simulate", "agreements", "--subscribers", "5", "--late", "1", "--late-by", "0"]) == 0
    )
    assert main([*endpoints(place), "simulate", "data-records", "--records", "40", "--subscribers", "5"]) == 0
    assert main([*endpoints(place), "simulate", "telemetry", "--records", "60", "--batch", "10"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[6].startswith("sent 60 events in ")
    assert ": 60 raw, " in lines[6]
    assert lines[4] == "sent 5 agreements (5 late), 0 of them invalid"
    assert lines[5].startswith("sent 40 records: 40 valid and distinct of ")
    assert lines[:3] == [
        "migrations applied: none, all exist",
        "topics created: none, all exist",
        "users provisioned: 20",
    ]
    assert lines[3].startswith("sent 50 records: 50 valid and distinct of ")


def test_a_backlog_ends_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--backlog", "--for", "10s"]) == 2
    assert "--backlog ends by itself; leave out --for" in capsys.readouterr().err
