"""Problems in the words of TM Forum and of CAMARA, whose clients know no others."""

from __future__ import annotations

from http import HTTPStatus

from starlette.responses import Response

from bytemeter.web.problems import Problem

_JSON = "application/json"
# CAMARA's codes of the statuses that it names; others have the name that the status has in HTTP.
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "IDENTIFIER_NOT_FOUND",
    429: "TOO_MANY_REQUESTS",
    503: "UNAVAILABLE",
}
_MOST_MESSAGE = 512


def tmf_error(problem: Problem) -> Response:
    """The problem as TM Forum's ``Error``: there the status is a text."""
    status = str(problem.status)
    error = {"@type": "Error", "code": status, "reason": HTTPStatus(problem.status).phrase, "message": str(problem)}
    return problem.answer({**error, "status": status, **problem.members}, _JSON)


def camara_error(problem: Problem) -> Response:
    """The problem as CAMARA's ``ErrorInfo``."""
    code = _CODES.get(problem.status, HTTPStatus(problem.status).name)
    error = {"status": problem.status, "code": code, "message": str(problem)[:_MOST_MESSAGE]}
    return problem.answer({**error, **problem.members}, _JSON)
