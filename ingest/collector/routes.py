"""The routes of the collector: each reads a request and answers it, or raises a ``Problem``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from bytemeter.feeds import AGREEMENTS, DATA_RECORDS, GAME_EVENTS, TAKEN, TELEMETRY_BATCHES, Feed
from bytemeter.web.answers import Endpoint, answered
from bytemeter.web.bodies import Bodies, body_of
from bytemeter.web.documents import page
from bytemeter.web.keys import Keys
from bytemeter.web.problems import header, try_later, wrong_parameter
from ingest.collector.clients import ANYBODY, Client
from ingest.collector.collecting import Collecting
from ingest.collector.documents import GENERATE_AGREEMENTS, GENERATE_DATA_RECORDS, TELEMETRY, openapi
from ingest.collector.game import ACTIONS, PARTITION, Action, event_of
from ingest.collector.generator import Generator
from ingest.collector.limits import InFlight
from ingest.collector.metrics import CollectorMetrics
from ingest.collector.results import ACCEPTED, RETRY_AFTER_S, answer
from ingest.collector.splitting import JSON, split
from ingest.collector.telemetry import HEADERS, MOST_BATCH_BYTES, batch_of
from ingest.identities import IDEMPOTENCY_KEY, UsedKeys, new_ids, random_id


@dataclass
class Routes:
    """The routes, with what they need.

    Attributes:
        keys: None where everybody may send to all feeds.
        secret: words by which headers that carry secrets are known.
        generator: None where nobody may have traffic generated.
        local: whether only this machine reaches the collector.
        draining: set when the process is about to end.
        feeds: by name, in the form in which their events are judged.
    """

    collecting: Collecting
    bodies: Bodies
    keys: Keys[Client] | None
    secret: tuple[str, ...]
    metrics: CollectorMetrics
    in_flight: InFlight
    generator: Generator | None = None
    local: bool = False
    draining: bool = field(default=False)
    feeds: Mapping[str, Feed] = field(default_factory=lambda: TAKEN)
    _used_keys: UsedKeys = field(default_factory=UsedKeys, init=False)

    def all(self) -> list[Route]:
        """All routes."""
        return [
            Route("/v1/events/{feed}", answered(self._events, self.metrics), methods=["POST"]),
            Route(TELEMETRY, answered(self._telemetry, self.metrics), methods=["POST"]),
            *(Route(action.path, answered(self._action(action), self.metrics), methods=["GET"]) for action in ACTIONS),
            *(self._generating(self.generator) if self.generator else ()),
            Route("/health", self._health),
            Route("/ready", self._ready),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            Route("/docs", self._docs),
        ]

    async def _events(self, request: Request) -> Response:
        feed = self._feed(request.path_params["feed"])
        client = self._client(request, feed)
        key = _idempotency_key(request)
        self._require_available(feed)
        async with body_of(request, self.bodies) as body:
            events = split(body, header(request, "Content-Type") or "", self.in_flight.most)
            with self.in_flight.taking(len(events.values)):
                new_id = new_ids(feed, client.name, key, body, self._used_keys)
                results = await self.collecting.collect(feed, events, new_id)
        self.metrics.count(feed.name, results)
        return answer(results)

    async def _telemetry(self, request: Request) -> Response:
        feed = TELEMETRY_BATCHES
        client = self._client(request, feed)
        key = _idempotency_key(request)
        _require_json(request)
        self._require_available(feed)
        async with body_of(request, self.bodies, MOST_BATCH_BYTES) as body:
            new_id = new_ids(feed, client.name, key, body, self._used_keys)
            headers = {member: header(request, name) for member, name in HEADERS.items()}
            batch = batch_of(body, headers, partial(new_id, 0), round(1_000 * self.collecting.clock()))
            with self.in_flight.taking(max(1, batch.events)):
                message = {"value": batch.value, "key": batch.key}
                results = [await self.collecting.deliver(feed, message, batch.mid)]
        self.metrics.count(feed.name, results)
        return answer(results)

    def _action(self, action: Action) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._client(request, GAME_EVENTS)
            # HEAD comes here, too, and is no action.
            if request.method == "GET":
                self._require_available(GAME_EVENTS)
                now_s = int(self.collecting.clock())
                events = event_of(action, request.headers.raw, at_s=now_s, secret=self.secret)
                with self.in_flight.taking(1):
                    results = await self.collecting.collect(GAME_EVENTS, events, random_id, partition=PARTITION)
                self.metrics.count(GAME_EVENTS.name, results)
                if results[0].status != ACCEPTED:
                    return answer(results)
            return PlainTextResponse(action.text)

        return endpoint

    def _generating(self, generator: Generator) -> Iterator[Route]:
        for path, feed, generate in (
            (GENERATE_AGREEMENTS, AGREEMENTS, generator.agreements),
            (GENERATE_DATA_RECORDS, DATA_RECORDS, generator.data_records),
        ):
            route = Route(path, answered(self._generate(feed, generate), self.metrics), methods=self._methods())
            # Starlette adds it to GET.
            (route.methods or set()).discard("HEAD")
            yield route

    def _methods(self) -> list[str]:
        return ["GET", "POST"] if self.local else ["POST"]

    def _generate(self, feed: Feed, generate: Callable[[QueryParams], Awaitable[Response]]) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self._client(request, feed)
            # Sent by browsers: any page could have them call a server on the user's machine.
            site = header(request, "Sec-Fetch-Site") or "none"
            if site not in ("none", "same-origin"):
                raise wrong_parameter(403, "Sec-Fetch-Site", site, "a call that no other site has made")
            return await generate(request.query_params)

        return endpoint

    def _feed(self, name: str) -> Feed:
        if name not in self.feeds:
            raise wrong_parameter(404, "feed", name, f"one of {', '.join(self.feeds)}")
        return self.feeds[name]

    def _client(self, request: Request, feed: Feed) -> Client:
        client = self.keys.client_of(request) if self.keys else ANYBODY
        client.require(feed.name)
        return client

    def _require_available(self, feed: Feed) -> None:
        if not self.collecting.available:
            raise try_later(503, "Kafka cannot be reached; repeat the request", RETRY_AFTER_S)
        if self.collecting.lacks_topic(feed):
            raise try_later(503, f"Kafka has no topic for the feed {feed.name}; repeat the request", RETRY_AFTER_S)

    async def _health(self, _: Request) -> Response:
        return JSONResponse({"status": "up"})

    async def _ready(self, _: Request) -> Response:
        delivery = self.collecting.delivery
        reasons = ["the collector is about to end"] if self.draining else []
        if not self.collecting.available:
            reasons.append("Kafka cannot be reached")
        if delivery.missing:
            reasons.append(f"Kafka has no topic {', '.join(delivery.missing)}; run `bytemeter migrate`")
        return JSONResponse({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _metrics(self, _: Request) -> Response:
        return self.metrics.response()

    async def _openapi(self, _: Request) -> Response:
        return JSONResponse(self._document())

    async def _docs(self, _: Request) -> Response:
        return page(self._document())

    def _document(self) -> dict[str, Any]:
        return openapi(keys=self.keys is not None, generating=self._methods() if self.generator else [])


def _require_json(request: Request) -> None:
    media = (header(request, "Content-Type") or JSON).partition(";")[0].strip().lower()
    if media != JSON:
        raise wrong_parameter(415, "Content-Type", media, JSON)


def _idempotency_key(request: Request) -> str | None:
    key = header(request, "Idempotency-Key")
    if key is not None and not IDEMPOTENCY_KEY.fullmatch(key):
        raise wrong_parameter(400, "Idempotency-Key", key, "1 to 256 characters of ASCII, without spaces")
    return key
