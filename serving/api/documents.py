"""What the usage API says about itself: an OpenAPI document."""

from __future__ import annotations

from typing import Any

from bytemeter.web.documents import document, plain
from serving.api.asked import DIMENSIONS
from serving.api.describing import ID, TEXT, WRONG, json_of, object_of, operation, or_null, query
from serving.api.events import TYPES
from serving.api.facade_documents import FACADE_SCHEMAS, facade_paths
from serving.api.zoned import UNITS

_INSTANT = {"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}
_ZONE = {"type": "string", "default": "UTC", "examples": ["Europe/Warsaw"]}
_LIMIT = {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1_000}
_INT64 = {"type": "integer", "format": "int64"}
_TIME = {"type": "string", "format": "date-time"}


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
        **facade_paths(),
        "/health": {"get": plain("Whether the process answers, and what is wrong.")},
        "/ready": {"get": plain("Whether requests can be answered now.")},
        "/metrics": {"get": plain("Counts and durations, for Prometheus.")},
    }
    return document("Bytemeter's usage API", paths, _SCHEMAS | FACADE_SCHEMAS, keys=keys)


def _usage() -> dict[str, Any]:
    feeds = list(DIMENSIONS)
    of_feeds = "; ".join(f"{feed}: {', '.join(names)}" for feed, names in DIMENSIONS.items())
    dimensions = sorted({name for names in DIMENSIONS.values() for name in names})
    parameters = [
        query("feed", {"enum": feeds}, required=True),
        query("dimension", {"enum": dimensions}, of_feeds, required=True),
        query("id", ID, "Of the only total of each window; all without it."),
        query("from", _INSTANT, "Windows that start at this instant or later; without an offset by the zone's clock."),
        query("to", _INSTANT, "Windows that start before this instant; now without it."),
        query("window", {"enum": list(UNITS), "default": "1h"}, "Hours, days and months are those of the zone."),
        query("zone", _ZONE, "An IANA time zone."),
        query("format", {"enum": ["json", "csv"], "default": "json"}),
        query("limit", _LIMIT, "Rows at most. A page may have less, and yet a next one."),
        query("cursor", TEXT, "`next` of the page before."),
    ]
    content = json_of("Usage") | {"text/csv": {"schema": TEXT}}
    return operation("Totals of a feed by dimension and window.", parameters, content, WRONG)


def _plan() -> dict[str, Any]:
    msisdn = {"name": "msisdn", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    parameters = [
        msisdn,
        query("at", _INSTANT, "The instant whose billing period is shown; now without it."),
        query("zone", _ZONE, "Of an instant without offset."),
    ]
    missing = {"404": "No agreement serves the MSISDN at that time, or the API key may not see it."}
    return operation("A subscriber's billing period.", parameters, json_of("DataPlan"), WRONG | missing)


def _events() -> dict[str, Any]:
    parameters = [
        *_which_events(),
        query("from", _INSTANT, "Emitted at this instant or later."),
        query("to", _INSTANT, "Emitted before this instant."),
        query("zone", _ZONE, "Of instants without offset."),
        query("limit", _LIMIT),
        query("cursor", {"type": "string", "pattern": "^[0-9]+$"}, "`next` of the page before."),
    ]
    return operation("Threshold events, the oldest first.", parameters, json_of("Events"), WRONG)


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
    content = {"text/event-stream": {"schema": TEXT}}
    return operation("Threshold events as they come.", [*_which_events(), recent, form, last], content, WRONG)


def _bill(dimension: str) -> dict[str, Any]:
    parameters = [
        {"name": dimension, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}},
        query("month", {"type": "string", "pattern": "^2[01][0-9]{2}-(0[1-9]|1[0-2])$"}, "The running one without it."),
    ]
    missing = {"404": f"There is no such {dimension}, or the API key may not see it."}
    content = {"application/json": {"schema": object_of(**{dimension: TEXT}, **_MONEY)}}
    return operation(
        f"What a {dimension} comes to in a month of the billing zone.", parameters, content, WRONG | missing
    )


def _which_events() -> list[dict[str, Any]]:
    return [query("msisdn", TEXT), query("agreement", TEXT), query("type", {"enum": list(TYPES)})]


_MONEY: dict[str, Any] = {
    "month": TEXT,
    "totalEur": TEXT,
    "exactEur": TEXT,
    "rounding": TEXT,
    "as_of": {"anyOf": [_TIME, {"type": "null"}]},
}
_ROW = object_of(
    type=TEXT,
    id=TEXT,
    timestamp=_TIME,
    value={"anyOf": [_INT64, {"type": "string"}]},
    source={"enum": ["live", "batch"]},
    final={"type": "boolean"},
)
_PROJECTION = object_of(
    runs_out_at=or_null(_TIME),
    earliest=or_null(_TIME),
    latest=or_null(_TIME),
    used_at_end=_INT64,
    used_at_end_least=or_null(_INT64),
    used_at_end_most=or_null(_INT64),
    confidence={"type": "number"},
)
_SCHEMAS: dict[str, Any] = {
    "Usage": object_of(as_of=or_null(_TIME), rows={"type": "array", "items": _ROW}, next=or_null(TEXT)),
    "DataPlan": object_of(
        as_of=or_null(_TIME),
        msisdn=TEXT,
        agreement_id=TEXT,
        zone=TEXT,
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
        latest_recorded_at=or_null(_TIME),
        thresholds={
            "type": "array",
            "items": object_of(
                percent={"type": "integer"}, bytes=_INT64, reached={"type": "boolean"}, crossed_at=or_null(_TIME)
            ),
        },
        final={"type": "boolean"},
        projection=or_null(_PROJECTION),
    ),
    "Events": object_of(
        as_of=or_null(_TIME),
        rows={
            "type": "array",
            "items": object_of(
                position=_INT64,
                msisdn=TEXT,
                emitted_at=_TIME,
                source={"enum": ["live", "batch"]},
                event={"type": "object"},
            ),
        },
        next=or_null(TEXT),
    ),
}
