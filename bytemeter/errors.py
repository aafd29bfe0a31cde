"""Errors that end a command with one line and exit code 1."""


class BytemeterError(Exception):
    """An error whose message is one line: the value seen, what was expected and what to do."""


class TransientError(BytemeterError):
    """A server could not be reached, or could not do its work; a retry may succeed."""


class UnknownHostError(TransientError):
    """No name server knows the host: a wrong setting, unless the host was reached before."""
