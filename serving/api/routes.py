"""The routes of the usage API: each reads a request and answers it, or raises a ``Problem``."""

from __future__ import annotations

import datetime as dt
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from bytemeter.feeds.billable_events import TYPES
from bytemeter.web.answers import answered as counted
from bytemeter.web.documents import page as document_page
from bytemeter.web.keys import Keys
from bytemeter.web.metrics import Metrics
from bytemeter.web.problems import Problem, header, wrong_parameter
from serving.api.answers import answered, bill_json, events_json, plan_json, usage_csv, usage_json
from serving.api.asked import EVENT_PARAMETERS, USAGE_PARAMETERS, event_filter, in_money, usage_question
from serving.api.clients import ANYBODY, BILLING, SUBSCRIBERS, Client
from serving.api.cloud_events import cloud_message
from serving.api.documents import openapi
from serving.api.events import Event, event_page, last_position
from serving.api.facade_errors import camara_error, tmf_error
from serving.api.facade_routes import CAMARA, TMF, Facades, correlated
from serving.api.health import health
from serving.api.money import CUSTOMER, TYPE, bill, money
from serving.api.page import page_routes
from serving.api.parameters import Parameters, is_text
from serving.api.plans import DataPlan, data_plan
from serving.api.rates import Rates
from serving.api.snapshots import Snapshots
from serving.api.stream import EventStream
from serving.api.usage import usage

Endpoint = Callable[[Request, Client], Awaitable[Response]]
# Makes the response of a problem.
Refused = Callable[[Problem], Response]
# Completes each response to a request.
Completed = Callable[[Request, Response], Response]
_MOST_POSITION = 2**63 - 1
_MOST_ROWS, _ROWS, _MOST_RECENT = 10_000, 1_000, 1_000
_STREAM_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass
class Routes:
    """The routes, with what they need.

    Attributes:
        keys: None where everybody may ask for all.
        billing_zone: of the months of money.
        draining: set when the process is about to end.
    """

    snapshots: Snapshots
    stream: EventStream
    keys: Keys[Client] | None
    rates: Rates
    metrics: Metrics
    billing_zone: ZoneInfo
    draining: bool = field(default=False)

    def all(self) -> list[BaseRoute]:
        """All routes."""
        return [
            self._route("/v1/usage", self._usage),
            self._route("/v1/data-plans/{msisdn}", self._data_plan),
            self._route("/v1/threshold-events", self._events),
            self._route("/v1/threshold-events/stream", self._follow),
            self._route("/customers/{customer:path}", self._customer),
            self._route("/types/{type}", self._type),
            *self._facades(),
            *page_routes(),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            Route("/docs", self._docs),
        ]

    def _facades(self) -> list[BaseRoute]:
        facades = Facades(self)
        return [
            self._route(TMF, facades.reports, refused=tmf_error),
            self._route(f"{TMF}/{{msisdn}}", facades.report, refused=tmf_error),
            self._route(f"{CAMARA}/retrieve", facades.retrieve, "POST", camara_error, correlated),
            self._route(f"{CAMARA}/check", facades.check, "POST", camara_error, correlated),
        ]

    def _route(
        self,
        path: str,
        endpoint: Endpoint,
        method: str = "GET",
        refused: Refused = Problem.response,
        completed: Completed = lambda _, response: response,
    ) -> Route:
        async def known(request: Request) -> Response:
            try:
                client = self.keys.client_of(request) if self.keys else ANYBODY
                self.rates.take(client.name)
                response = await endpoint(request, client)
            except Problem as problem:
                response = refused(problem)
            return completed(request, response)

        return Route(path, counted(known, self.metrics), methods=[method])

    async def _usage(self, request: Request, client: Client) -> Response:
        asked = Parameters(request.query_params, USAGE_PARAMETERS)
        form = asked.choice("format", ("json", "csv"), "json")
        limit, now = asked.integer("limit", _ROWS, 1, _MOST_ROWS), dt.datetime.now(dt.UTC)
        question = usage_question(asked, client, now, limit, self.billing_zone)
        page = await self.snapshots.ask((money if in_money(question.which.feed) else usage)(question))
        return usage_csv(page) if form == "csv" else usage_json(page)

    async def _customer(self, request: Request, client: Client) -> Response:
        return await self._bill(request, client, CUSTOMER)

    async def _type(self, request: Request, client: Client) -> Response:
        if client.customer is not None:
            raise Problem(403, "this API key sees one customer, and no totals of all of them")
        return await self._bill(request, client, TYPE)

    async def _bill(self, request: Request, client: Client, dimension: str) -> Response:
        client.require(BILLING)
        asked, id_ = Parameters(request.query_params, ("month",)), request.path_params[dimension]
        seen = is_text(id_) and (dimension == TYPE or client.sees(customer=id_))
        question = bill(dimension, id_, asked.month(), self.billing_zone.key)
        found = await self.snapshots.ask(question) if seen else None
        if found is None:
            expected = f"one of {', '.join(TYPES)}" if dimension == TYPE else "a customer with billable events"
            raise wrong_parameter(404, dimension, id_, expected)
        return bill_json(dimension, id_, found)

    async def _data_plan(self, request: Request, client: Client) -> Response:
        asked = Parameters(request.query_params, ("at", "zone"))
        return plan_json(await self.plan(client, request.path_params["msisdn"], asked.instant("at", asked.zone())))

    async def plan(self, client: Client, msisdn: str, at: dt.datetime | None = None) -> DataPlan:
        """The data plan of an MSISDN.

        Raises:
            Problem: 403 without the scope; 404 if no agreement serves it, or the client may not see it: it cannot tell.
        """
        client.require(SUBSCRIBERS)
        seen = is_text(msisdn) and client.sees(msisdn=msisdn)
        plan = await self.snapshots.ask(data_plan(msisdn, at)) if seen else None
        if plan is None:
            raise wrong_parameter(404, "msisdn", msisdn, "an MSISDN with an agreement at that time")
        return plan

    async def _events(self, request: Request, client: Client) -> Response:
        client.require(SUBSCRIBERS)
        asked = Parameters(request.query_params, (*EVENT_PARAMETERS, "from", "to", "zone", "cursor", "limit"))
        which = event_filter(asked, client)
        after = asked.integer("cursor", 0, 0, _MOST_POSITION)
        limit = asked.integer("limit", _ROWS, 1, _MOST_ROWS)
        return events_json(await self.snapshots.ask(event_page(which, after, limit)))

    async def _follow(self, request: Request, client: Client) -> Response:
        client.require(SUBSCRIBERS)
        asked = Parameters(request.query_params, (*EVENT_PARAMETERS, "recent", "format"))
        which, recent = event_filter(asked, client), asked.integer("recent", 0, 0, _MOST_RECENT)
        after = await self._last_event_id(request, recent)
        form = asked.choice("format", ("json", "cloudevents"), "json")
        if request.method == "HEAD":
            return Response(headers=_STREAM_HEADERS, media_type="text/event-stream")
        messages = self.stream.follow(which, after, cloud_message if form == "cloudevents" else Event.as_message)
        return StreamingResponse(messages, headers=_STREAM_HEADERS, media_type="text/event-stream")

    async def _last_event_id(self, request: Request, recent: int) -> int | None:
        """The position behind which a client goes on; None for events from now on."""
        value = header(request, "Last-Event-ID")
        if value is None and not recent:
            return None
        last = await self.snapshots.ask(last_position)
        if value is None:
            # Positions have no gaps.
            return max(last - recent, 0)
        if not (value.isascii() and value.isdigit() and len(value) <= len(str(last)) and int(value) <= last):
            raise wrong_parameter(400, "Last-Event-ID", value, f"the id of an event, from 0 to {last}")
        return int(value)

    async def _health(self, _: Request) -> Response:
        wrong = await health(self.snapshots, self.stream)
        return answered({"status": "up", "wrong": wrong})

    async def _ready(self, _: Request) -> Response:
        reasons = ["the API is about to end"] if self.draining else []
        try:
            await self.snapshots.ask(last_position)
        except Problem as problem:
            reasons.append(str(problem))
        return answered({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _metrics(self, _: Request) -> Response:
        return self.metrics.response()

    async def _openapi(self, _: Request) -> Response:
        return answered(openapi(keys=self.keys is not None))

    async def _docs(self, _: Request) -> Response:
        return document_page(openapi(keys=self.keys is not None))
