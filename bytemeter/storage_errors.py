"""What Google Cloud Storage has answered, by the errors of Hadoop's connector (Java) and of pyarrow (C++)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from bytemeter.errors import first_line


class Answer(Enum):
    """Why a request failed."""

    NO_LOGIN = auto()
    NO_RIGHT = auto()
    MISSING = auto()
    AWAY = auto()


_OF_STATUS = {401: Answer.NO_LOGIN, 403: Answer.NO_RIGHT, 404: Answer.MISSING, 408: Answer.AWAY, 429: Answer.AWAY}
_OF_CODE = {
    "UNAUTHENTICATED": Answer.NO_LOGIN,
    "PERMISSION_DENIED": Answer.NO_RIGHT,
    "NOT_FOUND": Answer.MISSING,
    **dict.fromkeys(("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "INTERNAL", "ABORTED"), Answer.AWAY),
}
_FIRST_OF_SERVER = 500
# The connector's jar has its libraries under names of its own.
_JAVA = re.compile(r"com\.google\..*\b(HttpResponseException|TokenResponseException|GoogleAuthException)$")
_HTTP_STATUS = re.compile(r"^(\d{3})\b")
_PYARROW_CODE = re.compile(r"google::cloud::Status\((\w+):")
_NO_TOKEN = re.compile(r"access token", re.IGNORECASE)
# What the server says in its answer, or pyarrow's client about it.
_SAID = (
    re.compile(r'"message"\s*:\s*"([^"]+)"'),
    re.compile(r'"error_description"\s*:\s*"([^"]+)"'),
    re.compile(r"underlying error message was: (.*?) error_info="),
    re.compile(r"last message of (.*?) error_info="),
)


def answer_of(classes: Sequence[str], message: str) -> Answer | None:
    """What the service has answered; None if the error is not one of its clients.

    Args:
        classes: of a Java error its class and those that it extends, of Python the class.
        message: all of it.
    """
    code = _PYARROW_CODE.search(message)
    if code:
        known = _OF_CODE.get(code[1])
        return Answer.NO_LOGIN if known is None and _NO_TOKEN.search(message) else known
    if not any(_JAVA.match(name) for name in classes):
        return None
    status = _HTTP_STATUS.match(message)
    if status and int(status[1]) >= _FIRST_OF_SERVER:
        return Answer.AWAY
    return (_OF_STATUS.get(int(status[1])) if status else None) or (
        Answer.NO_LOGIN if _NO_TOKEN.search(message) else None
    )


def reason_of(message: str) -> str:
    """What such an error says, in one line: the server's own words, if it said any."""
    said = next((found[1] for pattern in _SAID if (found := pattern.search(message))), None)
    return first_line(said or message)
