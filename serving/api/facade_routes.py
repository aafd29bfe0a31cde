"""The routes of the field's own interfaces; they ask what ``/v1/data-plans`` asks."""

from __future__ import annotations

import re
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from bytemeter.web.bodies import Bodies, body_of
from bytemeter.web.problems import Problem, header, wrong_parameter
from serving.api.answers import answered
from serving.api.clients import SUBSCRIBERS, Client
from serving.api.facades import report
from serving.api.parameters import Parameters
from serving.api.plans import DataPlan
from serving.api.volumes import check_request, checked, retrieve_request, retrieved

TMF = "/tmf-api/usageConsumption/v5/usageConsumptionReport"
CAMARA = "/device-data-volume/v0"
MOST_BODY_BYTES, BODY_S = 16_384, 10.0
_NOT_FOUND = 404
# CAMARA's header by which clients find an answer, and what it may be.
CORRELATOR, CORRELATOR_FORM = "x-correlator", r"^[a-zA-Z0-9_:;./<>{}-]{0,256}$"
_CORRELATOR = re.compile(CORRELATOR_FORM)


class Plans(Protocol):
    """Where data plans come from."""

    async def plan(self, client: Client, msisdn: str) -> DataPlan:
        """See ``Routes.plan``."""


class Facades:
    """TMF677's reports, and CAMARA's device-data-volume."""

    def __init__(self, plans: Plans) -> None:
        self._plans = plans
        self._bodies = Bodies(MOST_BODY_BYTES, BODY_S)

    async def reports(self, request: Request, client: Client) -> Response:
        """The reports of an MSISDN: one, or none."""
        msisdn = Parameters(request.query_params, ("logicalResource.value",)).text("logicalResource.value")
        if msisdn is None:
            name, expected = "logicalResource.value", "an MSISDN"
            raise Problem(400, f"{name} is missing; expected {expected}", name=name, expected=expected)
        try:
            found = [report(await self._plans.plan(client, msisdn), TMF)]
        except Problem as problem:
            if problem.status != _NOT_FOUND:
                raise
            found = []
        return answered(found)

    async def report(self, request: Request, client: Client) -> Response:
        """The report of an MSISDN."""
        Parameters(request.query_params, ())
        return answered(report(await self._plans.plan(client, request.path_params["msisdn"]), TMF))

    async def retrieve(self, request: Request, client: Client) -> Response:
        """How much is left, as a category."""
        asked = retrieve_request(await self._body(request, client), client)
        return answered(retrieved(await self._plans.plan(client, asked.msisdn), asked))

    async def check(self, request: Request, client: Client) -> Response:
        """Whether more is left than asked about."""
        asked = check_request(await self._body(request, client), client)
        return answered(checked(await self._plans.plan(client, asked.msisdn), asked))

    async def _body(self, request: Request, client: Client) -> bytes:
        client.require(SUBSCRIBERS)
        correlator = header(request, CORRELATOR)
        if correlator is not None and not _CORRELATOR.fullmatch(correlator):
            expected = "at most 256 letters, digits and characters of -_:;./<>{}"
            raise wrong_parameter(400, CORRELATOR, correlator, expected)
        media = (header(request, "Content-Type") or "").partition(";")[0].strip().lower()
        if media != "application/json":
            raise wrong_parameter(415, "Content-Type", media, "application/json")
        async with body_of(request, self._bodies) as body:
            return body


def correlated(request: Request, response: Response) -> Response:
    """The response with the request's correlator, if it has a sound one."""
    values = request.headers.getlist(CORRELATOR)
    if len(values) == 1 and _CORRELATOR.fullmatch(values[0]):
        response.headers[CORRELATOR] = values[0]
    return response
