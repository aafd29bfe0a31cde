"""Runs commands of gcloud, or shows them as lines for a shell."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Sequence

from bytemeter.errors import BytemeterError

_EXISTS = ("ALREADY_EXISTS", "already exists", "Already exists")


class AlreadyExistsError(BytemeterError):
    """Google Cloud knows the id that the command gave."""


def shown(command: Sequence[str]) -> str:
    """The command as one line that a shell runs as it is."""
    return shlex.join(command)


def run(command: Sequence[str]) -> None:
    """Run a command; what it prints goes to standard error, where errors of gcloud stand, too.

    Raises:
        AlreadyExistsError: it was to make what exists.
        BytemeterError: gcloud is missing, or failed; with the last line that it printed.
    """
    program = shutil.which(command[0])
    if program is None:
        raise BytemeterError(
            f"found no {command[0]} on the PATH; install the Google Cloud CLI, or run this with --print and the "
            "printed lines where it is"
        )
    with subprocess.Popen(
        [program, *command[1:]], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
    ) as process:
        printed = []
        for line in process.stderr or ():
            printed.append(line)
            _show(line)
    if process.returncode:
        text = "".join(printed)
        what = " ".join(command[1:4] if command[1] == "dataproc" else command[1:3])
        kind = AlreadyExistsError if any(word in text for word in _EXISTS) else BytemeterError
        lines = [line.strip() for line in printed if line.strip()]
        # The line with the mark says what is wrong, those after it what the request was.
        last = next((line for line in reversed(lines) if "ERROR:" in line), lines[-1] if lines else "no message")
        raise kind(f"gcloud {what} failed: {last.removeprefix('ERROR: ')}")


def _show(line: str) -> None:
    import click

    # An error is shown once, in the line with which the command ends.
    if not line.startswith("ERROR:"):
        click.echo(line, err=True, nl=False)
