"""Errors that end a command with one line and exit code 1."""

import re

_IN_URL = re.compile(r"(://[^\s:/@]*:)\S*(@)")
_ASSIGNED = re.compile(r"""(password=)("(\\.|[^"\\])*"|[^&\s;,)"']+)""", re.IGNORECASE)


class BytemeterError(Exception):
    """An error whose message is one line: the value seen, what was expected and what to do."""


class TransientError(BytemeterError):
    """A server could not be reached, or could not do its work; a retry may succeed."""


class UnknownHostError(TransientError):
    """No name server knows the host: a wrong setting, unless the host was reached before."""


def first_line(told: object) -> str:
    """The first line of a text, or of the text of an error: for an error line, which has no second one."""
    lines = str(told).strip().splitlines() or ["no message"]
    return lines[0]


def without_passwords(text: str) -> str:
    """The text with ``***`` for passwords in URLs, for example in an argument that a user gave by mistake."""
    return _ASSIGNED.sub(r"\1***", _IN_URL.sub(r"\1***\2", text))
