"""Errors as clients get them: ``application/problem+json`` (RFC 9457), with what was seen and what was expected."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

_MOST_SHOWN = 100


class Problem(Exception):  # noqa: N818, the word of RFC 9457
    """A request that is refused as a whole.

    Attributes:
        status: the HTTP status.
        members: further members of the answer, such as ``name``, ``value`` and ``expected`` of a parameter.
    """

    def __init__(self, status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(detail)
        self.status = status
        self.members = members
        self._headers = headers

    def response(self) -> Response:
        """The answer."""
        document = {
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
            **self.members,
        }
        return self.answer(document, "application/problem+json")

    def answer(self, document: Mapping[str, Any], media_type: str) -> Response:
        """An answer with the problem's status and headers, which says it by another document."""
        return Response(msgspec.json.encode(document), self.status, self._headers, media_type=media_type)


def wrong_parameter(status: int, name: str, value: str, expected: str) -> Problem:
    """The problem of a header or a part of the path that has another value than expected."""
    shown = value if len(value) <= _MOST_SHOWN else value[:_MOST_SHOWN] + "…"
    return Problem(status, f"{name} is {shown!r}; expected {expected}", name=name, value=shown, expected=expected)


def try_later(
    status: int, detail: str, after_s: int, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Problem:
    """The problem of a request that may succeed when it is repeated after some seconds."""
    return Problem(status, detail, headers={"Retry-After": str(after_s), **(headers or {})}, **members)


def header(request: Request, name: str) -> str | None:
    """The value of a header that a request may have once.

    Raises:
        Problem: 400 if it has several lines of it: readers would choose different ones.
    """
    values = request.headers.getlist(name)
    if len(values) > 1:
        detail = f"the request has {len(values)} headers {name}; expected one"
        raise Problem(400, detail, name=name, value=f"{len(values)} headers", expected="one")
    return values[0] if values else None
