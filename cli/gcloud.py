"""Runs commands of gcloud, or shows them as lines for a shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence

import click

from bytemeter.errors import BytemeterError, first_line

_EXISTS = re.compile(r"ALREADY_EXISTS|already exists", re.IGNORECASE)
# What gcloud says of a missing or expired login.
_NO_LOGIN = re.compile(
    r"active account selected|refreshing your current auth tokens|Reauthentication|invalid_grant|"
    r"gcloud auth (application-default )?login",
    re.IGNORECASE,
)
_NOT_ALLOWED = re.compile(r"\b403\b|PERMISSION_DENIED|does not have \S+ access", re.IGNORECASE)
_NO_BUCKET = re.compile(r"(bucket does not exist|\b404\b)", re.IGNORECASE)


class AlreadyExistsError(BytemeterError):
    """Google Cloud knows the id that the command gave."""


class NotAllowedError(BytemeterError):
    """The login lacks a right."""


def shown(command: Sequence[str]) -> str:
    """The command as one line that a shell runs as it is."""
    return shlex.join(command)


def run(command: Sequence[str]) -> None:
    """Run a command; what it prints goes to standard error while it runs, such as the output of a job's driver.

    Raises:
        AlreadyExistsError: it was to make what exists.
        NotAllowedError: the login lacks a right.
        BytemeterError: gcloud is missing, has no login, or failed: one line.
    """
    # A driver, whose output is shown, may have errors of its own.
    mark = "ERROR:" if command[1] == "storage" else "ERROR: (gcloud"
    last = ""
    error: list[str] = []
    with _started(command, subprocess.STDOUT) as process:
        for line in process.stdout or ():
            last = line
            # gcloud's error, and its advice after that, become the one line of ours.
            if error or line.startswith(mark):
                error.append(line)
            else:
                click.echo(line, err=True, nl=False)
    if process.returncode:
        raise _failure(command, error or [last])
    click.echo("".join(error), err=True, nl=False)


def output(command: Sequence[str]) -> list[str]:
    """Run a command that only reads, and return the lines that it prints.

    Raises:
        BytemeterError: see ``run``.
    """
    with _started(command, subprocess.PIPE) as process:
        printed, errors = process.communicate()
    if process.returncode:
        raise _failure(command, errors.splitlines())
    return [line for line in printed.splitlines() if line.strip()]


def _started(command: Sequence[str], errors: int) -> subprocess.Popen[str]:
    program = shutil.which(command[0])
    if program is None:
        raise BytemeterError(
            f"found no {command[0]} on the PATH; install the Google Cloud CLI, or run this with --print and the "
            "printed lines where it is"
        )
    return subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        errors="replace",
        env={**os.environ, "CLOUDSDK_CORE_DISABLE_PROMPTS": "1"},
    )


def _failure(command: Sequence[str], printed: Sequence[str]) -> BytemeterError:
    """The error of a command, from the lines that it printed from its error on."""
    text = "\n".join(printed)
    said = next((line for line in printed if line.startswith("ERROR:")), printed[-1] if printed else "")
    what = " ".join(command[1:4] if command[1] == "dataproc" else command[1:3])
    if _EXISTS.search(said):
        return AlreadyExistsError(first_line(said))
    if _NO_LOGIN.search(text):
        return BytemeterError(f"gcloud {what} has no valid login; run `gcloud auth login`, and this once more")
    target = command[-1]
    if command[1] == "storage" and _NO_BUCKET.search(said):
        bucket = "/".join(target.split("/")[:3])
        return BytemeterError(
            f"{bucket} does not exist, or this login may not see it; make it: gcloud storage buckets create {bucket} "
            "--uniform-bucket-level-access --location=REGION"
        )
    kind = NotAllowedError if _NOT_ALLOWED.search(said) else BytemeterError
    return kind(f"gcloud {what} failed: {first_line(said.removeprefix('ERROR:'))}")
