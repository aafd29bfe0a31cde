"""What the usage API says about the field's own interfaces, in their words for errors."""

from __future__ import annotations

from typing import Any

from serving.api.describing import ID, TEXT, WRONG, json_of, object_of, operation, query
from serving.api.facade_routes import CAMARA, TMF

TMF_ERROR, CAMARA_ERROR = json_of("TmfError"), json_of("CamaraError")
_OF_BODY = {
    "404": "No agreement serves the number now, or the API key may not see it.",
    "408": "The body did not arrive in time.",
    "413": "The body is too large.",
    "415": "The body is not JSON.",
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
    made = operation(summary, [], {"application/json": {"schema": answer}}, WRONG | _OF_BODY, CAMARA_ERROR)
    return made | {"requestBody": {"required": True, "content": {"application/json": {"schema": body}}}}


def _with_more(schema: dict[str, Any]) -> dict[str, Any]:
    """The object with what a problem says of a parameter."""
    return {**schema, "properties": schema["properties"] | {"name": TEXT, "value": TEXT, "expected": TEXT}}


_REPORT = {"type": "object", "required": ["@type", "id", "bucket"]}
_DEVICE = object_of(phoneNumber={"type": "string", "pattern": "^\\+[1-9][0-9]{4,14}$"}) | {
    "additionalProperties": False
}
_AMOUNT = object_of(value={"type": "integer", "minimum": 0, "maximum": 1_024}, unit={"enum": ["MiB", "GiB"]}) | {
    "additionalProperties": False
}
_RETRIEVE = object_of(device=_DEVICE) | {"additionalProperties": False}
_CHECK = object_of(device=_DEVICE, volumeToCheck=_AMOUNT) | {"additionalProperties": False}
_CATEGORY = object_of(dataVolumeCategory={"enum": ["<200MiB", "<1GiB", "<5GiB", ">=5GiB"]}, exactBytes=TEXT)
_EXCEEDED = object_of(thresholdExceeded={"type": "boolean"}, exactBytes=TEXT)
FACADE_SCHEMAS: dict[str, Any] = {
    "TmfError": _with_more(
        object_of(**{"@type": {"enum": ["Error"]}}, code=TEXT, reason=TEXT, message=TEXT, status=TEXT)
    ),
    "CamaraError": _with_more(object_of(status={"type": "integer"}, code=TEXT, message=TEXT)),
}
