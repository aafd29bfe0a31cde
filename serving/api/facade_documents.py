"""What the usage API says about the field's own interfaces, in their words for errors."""

from __future__ import annotations

from typing import Any

from serving.api.describing import ID, TEXT, WRONG, json_of, object_of, operation, query
from serving.api.facade_routes import CAMARA, CORRELATOR, CORRELATOR_FORM, TMF

TMF_ERROR, CAMARA_ERROR = json_of("TmfError"), json_of("CamaraError")
_OF_BODY = {
    "404": "No agreement serves the number now, or the API key may not see it.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
    "422": "The device is not identified, by no supported identifier, or both by the body and by the API key.",
}


def facade_paths() -> dict[str, Any]:
    """The routes of TMF677 and of device-data-volume."""
    return {
        TMF: {"get": _reports()},
        f"{TMF}/{{msisdn}}": {"get": _report()},
        f"{CAMARA}/retrieve": {"post": _volume("How much is left, as a category (CAMARA).", _RETRIEVE, _CATEGORY)},
        f"{CAMARA}/check": {"post": _volume("Whether more is left than this (CAMARA).", _CHECK, _EXCEEDED)},
    }


def _reports() -> dict[str, Any]:
    content = {"application/json": {"schema": {"type": "array", "items": _REPORT}}}
    asked = [query("logicalResource.value", ID, "The MSISDN.", required=True)]
    return operation("Usage consumption reports of an MSISDN (TM Forum TMF677 v5).", asked, content, WRONG, TMF_ERROR)


def _report() -> dict[str, Any]:
    msisdn = {"name": "msisdn", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    missing = {"404": "No agreement serves the MSISDN now, or the API key may not see it."}
    content = {"application/json": {"schema": _REPORT}}
    return operation("The report of an MSISDN (TM Forum TMF677 v5).", [msisdn], content, WRONG | missing, TMF_ERROR)


def _volume(summary: str, body: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    correlator = {"name": CORRELATOR, "in": "header", "description": "Is sent back.", "schema": _CORRELATOR}
    made = operation(summary, [correlator], {"application/json": {"schema": answer}}, WRONG | _OF_BODY, CAMARA_ERROR)
    return made | {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _with_more(schema: dict[str, Any]) -> dict[str, Any]:
    """The object with what a problem says of a parameter."""
    return {**schema, "properties": schema["properties"] | {"name": TEXT, "value": TEXT, "expected": TEXT}}


_REPORT = {"type": "object", "required": ["@type", "id", "bucket"]}
_CORRELATOR = {"type": "string", "pattern": CORRELATOR_FORM}
_CLOSED = {"additionalProperties": False}
_PHONE = {"type": "string", "pattern": "^\\+[1-9][0-9]{4,14}$"}
_IPV4 = {"type": "string", "format": "ipv4"}
_DEVICE = {
    "type": "object",
    "description": "phoneNumber is supported; the others are read, and refused where they stand alone.",
    "minProperties": 1,
    "properties": {
        "phoneNumber": _PHONE,
        "networkAccessIdentifier": {"type": "string", "maxLength": 2_048},
        "ipv4Address": {
            "type": "object",
            "properties": {
                "publicAddress": _IPV4,
                "privateAddress": _IPV4,
                "publicPort": {"type": "integer", "minimum": 1, "maximum": 65_535},
            },
            "anyOf": [{"required": ["publicAddress", other]} for other in ("privateAddress", "publicPort")],
            **_CLOSED,
        },
        "ipv6Address": {"type": "string", "format": "ipv6", "maxLength": 45},
    },
    **_CLOSED,
}
_CHOSEN = object_of(phoneNumber=_PHONE) | {"description": "The identifier in use, where several were sent."}
_AMOUNT = object_of(value={"type": "integer", "minimum": 0, "maximum": 1_024}, unit={"enum": ["MiB", "GiB"]}) | _CLOSED
_RETRIEVE = {"type": "object", "properties": {"device": _DEVICE}, **_CLOSED}
_CHECK = {
    "type": "object",
    "required": ["volumeToCheck"],
    "properties": {"device": _DEVICE, "volumeToCheck": _AMOUNT},
    **_CLOSED,
}


def _of_device(**members: dict[str, Any]) -> dict[str, Any]:
    answer = object_of(**members, exactBytes=TEXT)
    return {**answer, "properties": {"device": _CHOSEN, **answer["properties"]}}


_CATEGORY = _of_device(dataVolumeCategory={"enum": ["<200MiB", "<1GiB", "<5GiB", ">=5GiB"]})
_EXCEEDED = _of_device(thresholdExceeded={"type": "boolean"})
FACADE_SCHEMAS: dict[str, Any] = {
    "TmfError": _with_more(
        object_of(**{"@type": {"enum": ["Error"]}}, code=TEXT, reason=TEXT, message=TEXT, status=TEXT)
    ),
    "CamaraError": _with_more(object_of(status={"type": "integer"}, code=TEXT, message=TEXT)),
}
