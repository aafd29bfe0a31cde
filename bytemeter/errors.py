"""The errors that end a command with one line and exit code 1."""


class BytemeterError(Exception):
    """What was seen, what was expected and what to do, in one line."""


class TransientError(BytemeterError):
    """A server could not be reached; the same step may succeed later."""
