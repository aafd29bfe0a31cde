"""What the collector says about itself: an OpenAPI document made from the feeds, and the same as a page."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from starlette.responses import HTMLResponse, Response

import bytemeter
from bytemeter.feeds import FEEDS, Decimal, Feed, Text, Whole, WholeList
from bytemeter.feeds.fields import FieldType
from ingest.collector.game import ACTIONS
from ingest.collector.generator import MONTH, NUMBERS
from ingest.collector.identities import IDEMPOTENCY_KEY
from ingest.collector.splitting import CLOUD_EVENT, CLOUD_EVENTS, JSON, NDJSON

GENERATE_AGREEMENTS = "/api/agreements/generate"
GENERATE_DATA_RECORDS = "/api/incoming-data-records/generate"
_PROBLEM = {"$ref": "#/components/schemas/Problem"}
_INT64 = {"type": "integer", "format": "int64", "minimum": -(2**63), "maximum": 2**63 - 1}
_PROBLEMS = {
    "400": "The body cannot be read as a whole, or a header or a parameter has another value than expected.",
    "401": "The API key is missing or unknown.",
    "403": "The API key may not send to this feed, or another site had the browser call.",
    "404": "There is no such feed.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The content type or the encoding is another than expected.",
    "422": "The Idempotency-Key was used for another body.",
    "429": "Too much is in flight; repeat the request after Retry-After seconds.",
    "503": "Kafka cannot be reached; repeat the request after Retry-After seconds.",
}


def openapi(*, keys: bool, generating: Sequence[str] = ()) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        keys: whether requests need an API key.
        generating: the methods of the generator's routes; none without them.
    """
    paths: dict[str, Any] = {f"/v1/events/{feed.name}": {"post": _post(feed)} for feed in FEEDS.values()}
    paths |= {action.path: {"get": _get(f"Sends {action.event_type} to game-events.")} for action in ACTIONS}
    if generating:
        methods = [method.lower() for method in generating]
        paths[GENERATE_AGREEMENTS] = dict.fromkeys(methods, _generate("agreements", ("subscribers", "seed")))
        paths[GENERATE_DATA_RECORDS] = dict.fromkeys(methods, _generate("data-records", tuple(NUMBERS)))
    paths |= {
        "/health": {"get": _plain("Whether the process answers.")},
        "/ready": {"get": _plain("Whether events can be taken now.")},
        "/metrics": {"get": _plain("Counts and durations, for Prometheus.")},
    }
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "Bytemeter's collector", "version": bytemeter.__version__},
        "paths": paths,
        "components": {"schemas": {feed.name: schema_of(feed) for feed in FEEDS.values()} | _SCHEMAS},
    }
    if keys:
        document["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def schema_of(feed: Feed) -> dict[str, Any]:
    """What an event of the feed is, as a JSON schema. Members that the feed does not name are allowed."""
    schema: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for field in feed.fields:
        place = schema
        # An event without an id gets one.
        required = field.required and field.name != feed.event_id
        for member in field.path[:-1]:
            if required and member not in place["required"]:
                place["required"].append(member)
            place = place["properties"].setdefault(member, {"type": "object", "properties": {}, "required": []})
        type_ = _type(field.type)
        place["properties"][field.path[-1]] = type_ if required else {"anyOf": [type_, {"type": "null"}]}
        if required:
            place["required"].append(field.path[-1])
    return schema


def page(document: dict[str, Any]) -> Response:
    """The document as a page without scripts, so that it can be read where nothing else can be reached."""
    lines = [
        f"<title>{html.escape(document['info']['title'])}</title><h1>{html.escape(document['info']['title'])}</h1>"
    ]
    lines.append('<p>As an <a href="/openapi.json">OpenAPI document</a>.</p>')
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            lines.append(f"<h2><code>{method.upper()} {html.escape(path)}</code></h2>")
            lines.append(f"<p>{html.escape(operation['summary'])}</p>")
    for name, schema in document["components"]["schemas"].items():
        lines.append(f"<h2>{html.escape(name)}</h2><pre>{html.escape(json.dumps(schema, indent=2))}</pre>")
    return HTMLResponse("<!doctype html><meta charset=utf-8>" + "\n".join(lines))


def _type(type_: FieldType) -> dict[str, Any]:
    match type_:
        case Text():
            return {"type": "string", "minLength": 1, "maxLength": type_.max_length}
        case Whole():
            return _INT64
        case WholeList():
            return {"type": "array", "items": {"anyOf": [_INT64, {"type": "null"}]}}
        case Decimal():
            digits = rf"^-?(0|[1-9][0-9]{{0,{type_.digits - 1}}})(\.[0-9]{{1,{type_.scale}}})?$"
            return {"anyOf": [{"type": "string", "pattern": digits}, {"type": "number"}]}


def _post(feed: Feed) -> dict[str, Any]:
    event = {"$ref": f"#/components/schemas/{feed.name}"}
    events = {"type": "array", "items": event}
    envelope = {"$ref": "#/components/schemas/CloudEvent"}
    content = {
        JSON: {"schema": {"anyOf": [event, events]}},
        NDJSON[0]: {"schema": {"type": "string"}},
        CLOUD_EVENT: {"schema": envelope},
        CLOUD_EVENTS: {"schema": {"type": "array", "items": envelope}},
    }
    results = {JSON: {"schema": {"$ref": "#/components/schemas/Results"}}}
    return {
        "summary": f"Sends events to {feed.name}; answers once Kafka or the journal has them.",
        "description": "The body may be sent with Content-Encoding: gzip.",
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "A request that is repeated with it gives events without id the same ids.",
                "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY.pattern},
            },
        ],
        "requestBody": {"required": True, "content": content},
        "responses": {
            "200": {"description": "All were accepted or are duplicates.", "content": results},
            "207": {"description": "Some are invalid, or are to be sent again.", "content": results},
            **_problems(),
        },
    }


def _generate(feed: str, numbers: Iterable[str]) -> dict[str, Any]:
    schemas = {name: {"type": "integer", "minimum": NUMBERS[name][0], "maximum": NUMBERS[name][1]} for name in numbers}
    schemas["month"] = {"type": "string", "pattern": MONTH.pattern}
    generated = {JSON: {"schema": {"$ref": "#/components/schemas/Generated"}}}
    return {
        "summary": f"Sends simulated messages to {feed}; answers once Kafka has them.",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()],
        "responses": {"200": {"description": "All were acknowledged.", "content": generated}, **_problems()},
    }


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "A text."}, **_problems()}}


def _plain(summary: str) -> dict[str, Any]:
    return {
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "Yes."}, "503": {"description": "No."}},
    }


def _problems() -> dict[str, Any]:
    content = {"application/problem+json": {"schema": _PROBLEM}}
    return {status: {"description": text, "content": content} for status, text in _PROBLEMS.items()}


_SCHEMAS: dict[str, Any] = msgspec.json.decode(
    b"""{
    "CloudEvent": {"type": "object", "required": ["specversion", "id", "source", "type", "data"], "properties": {
        "specversion": {"const": "1.0"}, "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1}, "data": {"type": "object"}}},
    "Results": {"type": "object", "required": ["accepted", "results"], "properties": {
        "accepted": {"type": "integer"},
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}}}},
    "Result": {"type": "object", "required": ["status"], "properties": {
        "status": {"enum": ["accepted", "duplicate", "invalid", "retry"]}, "eventId": {"type": "string"},
        "reason": {"type": "string"}, "field": {"type": "string"}, "value": {"type": "string"}}},
    "Generated": {"type": "object", "required": ["feed", "sent", "acknowledged", "subscribers", "seed", "month"],
        "properties": {
            "feed": {"type": "string"}, "sent": {"type": "integer"}, "acknowledged": {"type": "integer"},
            "subscribers": {"type": "integer"}, "seed": {"type": "integer"}, "month": {"type": "string"}}},
    "Problem": {"type": "object", "required": ["title", "status", "detail"], "properties": {
        "title": {"type": "string"}, "status": {"type": "integer"}, "detail": {"type": "string"},
        "name": {"type": "string"}, "value": {"type": "string"}, "expected": {"type": "string"}}}
}"""
)
