"""Errors that end a command with one line and exit code 1."""


class BytemeterError(Exception):
    """An error whose message is one line: the value seen, what was expected and what to do."""


class TransientError(BytemeterError):
    """A server could not be reached; a retry may succeed."""
