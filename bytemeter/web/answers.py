"""What an endpoint raises becomes an answer, and each answer is counted."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from bytemeter.logs import logger
from bytemeter.web.metrics import Metrics
from bytemeter.web.problems import Problem

Endpoint = Callable[[Request], Awaitable[Response]]


def answered(endpoint: Endpoint, metrics: Metrics) -> Endpoint:
    """The endpoint with its problems as answers, counted."""

    async def answering(request: Request) -> Response:
        began = time.perf_counter()
        try:
            response = await endpoint(request)
        except Problem as problem:
            response = problem.response()
        except ClientDisconnect:
            # Nobody reads the answer.
            response = Response(status_code=400)
        metrics.answered(response.status_code, time.perf_counter() - began)
        return response

    return answering


async def refused(_: Request, error: Exception) -> Response:
    """The answer to a request that no route takes."""
    status = error.status_code if isinstance(error, HTTPException) else 404
    headers = error.headers if isinstance(error, HTTPException) else None
    return Problem(status, "see /docs for the routes and their methods", headers=headers).response()


async def failed(request: Request, error: Exception) -> Response:
    """The answer after a defect of the server: nothing of the error is shown."""
    logger().error("unexpected error", route=request.url.path, error=repr(error))
    return Problem(500, "the server failed; its log says why").response()
