"""What the usage API says about itself: an OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bytemeter.web.documents import document, plain, problems
from serving.api.asked import DIMENSIONS
from serving.api.events import TYPES
from serving.api.facade_routes import CAMARA, TMF
from serving.api.zoned import UNITS

_AUTHORIZATION = {
    "401": "The API key is missing or unknown.",
    "403": "The API key may not ask this.",
    "429": "Too many requests; repeat this one after Retry-After seconds.",
    "503": "PostgreSQL cannot answer now; repeat the request after Retry-After seconds.",
}
_WRONG = {"400": "A parameter means nothing: name, value and what is expected."} | _AUTHORIZATION
_OF_BODY = {
    "404": "No agreement serves the number now, or the API key may not see it.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
}
_INSTANT = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
_ZONE = {"type": "string", "default": "UTC", "examples": ["Europe/Warsaw"]}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000}
_INT64 = {"type": "integer", "format": "int64"}
_TIME = {"type": "string", "format": "date-time"}
_TEXT = {"type": "string"}
_ID = {"type": "string", "minLength": 1, "maxLength": 1_024}


def openapi(*, keys: bool) -> dict[str, Any]:
    """The OpenAPI document.

    Args:
        keys: whether requests need an API key.
    """
    paths = {
        "/v1/usage": {"get": _usage()},
        "/v1/data-plans/{msisdn}": {"get": _plan()},
        "/v1/threshold-events": {"get": _events()},
        "/v1/threshold-events/stream": {"get": _stream()},
        "/customers/{customer}": {"get": _bill("customer")},
        "/types/{type}": {"get": _bill("type")},
        TMF: {"get": _reports()},
        f"{TMF}/{{msisdn}}": {"get": _report()},
        f"{CAMARA}/retrieve": {"post": _volume("How much is left, as a category (CAMARA).", _RETRIEVE, _CATEGORY)},
        f"{CAMARA}/check": {"post": _volume("Whether more is left than this (CAMARA).", _CHECK, _EXCEEDED)},
        "/health": {"get": plain("Whether the process answers, and what is wrong.")},
        "/ready": {"get": plain("Whether requests can be answered now.")},
        "/metrics": {"get": plain("Counts and durations, for Prometheus.")},
    }
    return document("Bytemeter's usage API", paths, _SCHEMAS, keys=keys)


def operation(
    summary: str, parameters: list[dict[str, Any]], content: Mapping[str, Any], texts: Mapping[str, str]
) -> dict[str, Any]:
    """An operation with its answer and its problems."""
    answer = {"description": "The answer, as of one moment.", "content": content}
    return {"summary": summary, "parameters": parameters, "responses": {"200": answer, **problems(texts)}}


def json_of(schema: str) -> dict[str, Any]:
    """The content of an answer in JSON."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


def _usage() -> dict[str, Any]:
    feeds = list(DIMENSIONS)
    of_feeds = "; ".join(f"{feed}: {', '.join(names)}" for feed, names in DIMENSIONS.items())
    dimensions = sorted({name for names in DIMENSIONS.values() for name in names})
    parameters = [
        query("feed", {"enum": feeds}, required=True),
        query("dimension", {"enum": dimensions}, of_feeds, required=True),
        query("id", _ID, "Of the only total of each window; all without it."),
        query("from", _INSTANT, "Windows that start at this instant or later; without an offset by the zone's clock."),
        query("to", _INSTANT, "Windows that start before this instant; now without it."),
        query("window", {"enum": list(UNITS), "default": "1h"}, "Hours, days and months are those of the zone."),
        query("zone", _ZONE, "An IANA time zone."),
        query("format", {"enum": ["json", "csv"], "default": "json"}),
        query("limit", _LIMIT, "Rows at most. A page may have less, and yet a next one."),
        query("cursor", _TEXT, "`next` of the page before."),
    ]
    content = json_of("Usage") | {"text/csv": {"schema": _TEXT}}
    return operation("Totals of a feed by dimension and window.", parameters, content, _WRONG)


def _plan() -> dict[str, Any]:
    msisdn = {"name": "msisdn", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    parameters = [
        msisdn,
        query("at", _INSTANT, "The instant whose billing period is shown; now without it."),
        query("zone", _ZONE, "Of an instant without offset."),
    ]
    missing = {"404": "No agreement serves the MSISDN at that time, or the API key may not see it."}
    return operation("A subscriber's billing period.", parameters, json_of("DataPlan"), _WRONG | missing)


def _events() -> dict[str, Any]:
    parameters = [
        *_which_events(),
        query("from", _INSTANT, "Emitted at this instant or later."),
        query("to", _INSTANT, "Emitted before this instant."),
        query("zone", _ZONE, "Of instants without offset."),
        query("limit", _LIMIT),
        query("cursor", {"type": "string", "pattern": "^[0-9]+$"}, "`next` of the page before."),
    ]
    return operation("Threshold events, the oldest first.", parameters, json_of("Events"), _WRONG)


def _stream() -> dict[str, Any]:
    last = {
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event received: all later ones follow. Without it those from now on.",
        "schema": {"type": "string", "pattern": "^[0-9]+$"},
    }
    recent = query(
        "recent", {"type": "integer", "minimum": 0, "maximum": 1_000, "default": 0}, "Begin with the last ones."
    )
    form = query("format", {"enum": ["json", "cloudevents"], "default": "json"}, "cloudevents: those that CAMARA has.")
    content = {"text/event-stream": {"schema": _TEXT}}
    return operation("Threshold events as they come.", [*_which_events(), recent, form, last], content, _WRONG)


def _bill(dimension: str) -> dict[str, Any]:
    parameters = [
        {"name": dimension, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        query("month", {"type": "string", "pattern": "^2[01][0-9]{2}-(0[1-9]|1[0-2])$"}, "The running one without it."),
    ]
    missing = {"404": f"There is no such {dimension}, or the API key may not see it."}
    content = {"application/json": {"schema": object_of(**{dimension: _TEXT}, **_MONEY)}}
    return operation(
        f"What a {dimension} comes to in a month of the billing zone.", parameters, content, _WRONG | missing
    )


def _reports() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "array", "items": _REPORT}}}
    asked = [query("logicalResource.value", _ID, "The MSISDN.", required=True)]
    return operation("Usage consumption reports of an MSISDN (TM Forum TMF677 v5).", asked, content, _WRONG)


def _report() -> dict[str, Any]:
    msisdn = {"name": "msisdn", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    missing = {"404": "No agreement serves the MSISDN now, or the API key may not see it."}
    content = {"application/json": {"schema": _REPORT}}
    return operation("The report of an MSISDN (TM Forum TMF677 v5).", [msisdn], content, _WRONG | missing)


def _volume(summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    made = operation(summary, [], {"application/json": {"schema": answer}}, _WRONG | _OF_BODY)
    return made | {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _which_events() -> list[dict[str, Any]]:
    return [query("msisdn", _TEXT), query("agreement", _TEXT), query("type", {"enum": list(TYPES)})]


def query(name: str, schema: dict[str, Any], description: str = "", *, required: bool = False) -> dict[str, Any]:
    """A parameter of the query."""
    return {"name": name, "in": "query", "required": required, "description": description, "schema": schema}


def object_of(**members: dict[str, Any]) -> dict[str, Any]:
    """An object with all of these members."""
    return {"type": "object", "required": list(members), "properties": members}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


_MONEY: dict[str, Any] = {
    "month": _TEXT,
    "totalEur": _TEXT,
    "exactEur": _TEXT,
    "rounding": _TEXT,
    "as_of": {"anyOf": [_TIME, {"type": "null"}]},
}
_REPORT = {"type": "object", "required": ["@type", "id", "bucket"]}
_DEVICE = object_of(phoneNumber={"type": "string", "pattern": "^\\+[1-9][0-9]{4,14}$"}) | {
    "additionalProperties": False
}
_AMOUNT = object_of(value={"type": "integer", "minimum": 0, "maximum": 1_024}, unit={"enum": ["MiB", "GiB"]}) | {
    "additionalProperties": False
}
_RETRIEVE = object_of(device=_DEVICE) | {"additionalProperties": False}
_CHECK = object_of(device=_DEVICE, volumeToCheck=_AMOUNT) | {"additionalProperties": False}
_CATEGORY = object_of(dataVolumeCategory={"enum": ["<200MiB", "<1GiB", "<5GiB", ">=5GiB"]}, exactBytes=_TEXT)
_EXCEEDED = object_of(thresholdExceeded={"type": "boolean"}, exactBytes=_TEXT)
_ROW = object_of(
    type=_TEXT,
    id=_TEXT,
    timestamp=_TIME,
    value={"anyOf": [_INT64, {"type": "string"}]},
    source={"enum": ["live", "batch"]},
    final={"type": "boolean"},
)
_PROJECTION = object_of(
    runs_out_at=_or_null(_TIME),
    earliest=_or_null(_TIME),
    latest=_or_null(_TIME),
    used_at_end=_INT64,
    used_at_end_least=_or_null(_INT64),
    used_at_end_most=_or_null(_INT64),
    confidence={"type": "number"},
)
_SCHEMAS: dict[str, Any] = {
    "Usage": object_of(as_of=_or_null(_TIME), rows={"type": "array", "items": _ROW}, next=_or_null(_TEXT)),
    "DataPlan": object_of(
        as_of=_or_null(_TIME),
        msisdn=_TEXT,
        agreement_id=_TEXT,
        zone=_TEXT,
        period=object_of(
            start=_TIME,
            end=_TIME,
            year={"type": "integer"},
            month={"type": "integer"},
            status={"enum": ["open", "closed"]},
        ),
        used=_INT64,
        limit=_INT64,
        left=_INT64,
        latest_recorded_at=_or_null(_TIME),
        thresholds={
            "type": "array",
            "items": object_of(
                percent={"type": "integer"}, bytes=_INT64, reached={"type": "boolean"}, crossed_at=_or_null(_TIME)
            ),
        },
        final={"type": "boolean"},
        projection=_or_null(_PROJECTION),
    ),
    "Events": object_of(
        as_of=_or_null(_TIME),
        rows={
            "type": "array",
            "items": object_of(
                position=_INT64,
                msisdn=_TEXT,
                emitted_at=_TIME,
                source={"enum": ["live", "batch"]},
                event={"type": "object"},
            ),
        },
        next=_or_null(_TEXT),
    ),
}
