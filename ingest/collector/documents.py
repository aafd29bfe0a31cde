"""What the collector says about itself: an OpenAPI document made from the feeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bytemeter.feeds import TAKEN, Decimal, Feed, Number, Text, Whole, WholeList
from bytemeter.feeds.fields import FieldType
from bytemeter.web.documents import document, plain, problems
from ingest.collector.game import ACTIONS
from ingest.collector.generator import MONTH, NUMBERS
from ingest.collector.splitting import CLOUD_EVENT, CLOUD_EVENTS, JSON, NDJSON
from ingest.collector.telemetry import HEADERS, MOST_BATCH_BYTES
from ingest.identities import IDEMPOTENCY_KEY

TELEMETRY = "/v1/telemetry"
GENERATE_AGREEMENTS = "/api/agreements/generate"
GENERATE_DATA_RECORDS = "/api/incoming-data-records/generate"
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
    paths: dict[str, Any] = {f"/v1/events/{feed.name}": {"post": _post(feed)} for feed in TAKEN.values()}
    paths[TELEMETRY] = {"post": _telemetry()}
    paths |= {action.path: {"get": _get(f"Sends {action.event_type} to game-events.")} for action in ACTIONS}
    if generating:
        methods = [method.lower() for method in generating]
        paths[GENERATE_AGREEMENTS] = dict.fromkeys(methods, _generate("agreements", ("subscribers", "seed")))
        paths[GENERATE_DATA_RECORDS] = dict.fromkeys(methods, _generate("data-records", tuple(NUMBERS)))
    paths |= {
        "/health": {"get": plain("Whether the process answers.")},
        "/ready": {"get": plain("Whether events can be taken now.")},
        "/metrics": {"get": plain("Counts and durations, for Prometheus.")},
    }
    schemas = {feed.name: schema_of(feed) for feed in TAKEN.values()} | _SCHEMAS
    return document("Bytemeter's collector", paths, schemas, keys=keys)


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


def _type(type_: FieldType) -> dict[str, Any]:
    match type_:
        case Text():
            return {"type": "string", "minLength": 0 if type_.empty_is_null else 1, "maxLength": type_.max_length}
        case Whole():
            return _INT64
        case WholeList():
            return {"type": "array", "items": {"anyOf": [_INT64, {"type": "null"}]}}
        case Decimal():
            digits = rf"^-?(0|[1-9][0-9]{{0,{type_.digits - 1}}})(\.[0-9]{{1,{type_.scale}}})?$"
            return {"anyOf": [{"type": "string", "pattern": digits}, {"type": "number"}]}
        case Number():
            return {} if type_.others_are_null else {"type": "number"}


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
            **problems(_PROBLEMS),
        },
    }


def _telemetry() -> dict[str, Any]:
    results = {JSON: {"schema": {"$ref": "#/components/schemas/Results"}}}
    text = {"type": "string"}
    headers = [{"name": name, "in": "header", "schema": text} for name in HEADERS.values()]
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "pattern": IDEMPOTENCY_KEY.pattern}}
    return {
        "summary": "Sends a batch of telemetry events; answers once Kafka or the journal has it.",
        "description": f"At most {MOST_BATCH_BYTES} bytes, also when inflated. Events are judged later, one by one.",
        "parameters": [*headers, key],
        "requestBody": {"required": True, "content": {JSON: {"schema": {"$ref": "#/components/schemas/Batch"}}}},
        "responses": {
            "200": {"description": "The batch was accepted; eventId is its mid.", "content": results},
            **problems(_PROBLEMS),
        },
    }


def _generate(feed: str, numbers: Iterable[str]) -> dict[str, Any]:
    schemas = {name: {"type": "integer", "minimum": NUMBERS[name][0], "maximum": NUMBERS[name][1]} for name in numbers}
    schemas["month"] = {"type": "string", "pattern": MONTH.pattern}
    generated = {JSON: {"schema": {"$ref": "#/components/schemas/Generated"}}}
    return {
        "summary": f"Sends simulated messages to {feed}; answers once Kafka has them.",
        "parameters": [{"name": name, "in": "query", "schema": schema} for name, schema in schemas.items()],
        "responses": {"200": {"description": "All were acknowledged.", "content": generated}, **problems(_PROBLEMS)},
    }


def _get(summary: str) -> dict[str, Any]:
    return {"summary": summary, "responses": {"200": {"description": "A text."}, **problems(_PROBLEMS)}}


_SCHEMAS: dict[str, Any] = msgspec.json.decode(
    b"""{
    "CloudEvent": {"type": "object", "required": ["specversion", "id", "source", "type", "data"], "properties": {
        "specversion": {"const": "1.0"}, "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1},
        "type": {"type": "string", "minLength": 1}, "data": {"type": "object"}}},
    "Batch": {"type": "object", "required": ["events"], "properties": {
        "mid": {"anyOf": [{"type": "string", "maxLength": 512}, {"type": "null"}]},
        "params": {"anyOf": [{"type": "object", "properties": {
            "msgid": {"anyOf": [{"type": "string", "maxLength": 512}, {"type": "null"}]}}}, {"type": "null"}]},
        "events": {"type": "array", "items": {"type": "object"}}}},
    "Results": {"type": "object", "required": ["accepted", "results"], "properties": {
        "accepted": {"type": "integer"},
        "results": {"type": "array", "items": {"$ref": "#/components/schemas/Result"}}}},
    "Result": {"type": "object", "required": ["status"], "properties": {
        "status": {"enum": ["accepted", "duplicate", "invalid", "retry"]}, "eventId": {"type": "string"},
        "reason": {"type": "string"}, "field": {"type": "string"}, "value": {"type": "string"}}},
    "Generated": {"type": "object", "required": ["feed", "sent", "acknowledged", "subscribers", "seed", "month"],
        "properties": {
            "feed": {"type": "string"}, "sent": {"type": "integer"}, "acknowledged": {"type": "integer"},
            "subscribers": {"type": "integer"}, "seed": {"type": "integer"}, "month": {"type": "string"}}}
}"""
)
