"""The field's own interfaces over a data plan: TM Forum TMF677 v5 and CAMARA device-data-volume.

Numbers of the standards are floating point, or categories; what is exact stands beside them as a text.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from typing import Any

import msgspec

from bytemeter.web.problems import Problem, wrong_parameter
from serving.api.plans import DataPlan

_UNITS = {"MiB": 2**20, "GiB": 2**30}
# CAMARA's categories of what is left, by the bytes below which each ends.
_CATEGORIES = (("<200MiB", 200 * 2**20), ("<1GiB", 2**30), ("<5GiB", 5 * 2**30))
_LARGEST = ">=5GiB"
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")


def report(plan: DataPlan, base: str) -> dict[str, Any]:
    """A ``UsageConsumptionReport`` of TMF677 with one bucket; its id is the MSISDN.

    Args:
        base: where reports are, without the id.
    """
    period = {"startDateTime": _local(plan, plan.period.start), "endDateTime": _local(plan, plan.period.end)}
    counters = (("used", plan.used), ("remaining", plan.left))
    running = plan.period.start <= plan.at < plan.period.end and not plan.closed
    return {
        "@type": "UsageConsumptionReport",
        "id": plan.msisdn,
        "href": f"{base}/{plan.msisdn}",
        "name": f"Data of {plan.msisdn}",
        "creationDate": _local(plan, plan.at),
        **({"lastUpdate": plan.as_of.isoformat()} if plan.as_of else {}),
        "validPeriod": period,
        "product": [{"@type": "UsageConsumptionProductRef", "id": plan.agreement_id}],
        "logicalResource": [{"@type": "LogicalResourceRef", "id": plan.msisdn, "value": plan.msisdn}],
        "bucket": [
            {
                # Without an id: with one it would be a BucketRef to the standard's schema, too.
                "@type": "Bucket",
                "usageType": "data",
                "isShared": False,
                "status": "active" if running else "expired",
                "validFor": period,
                "remainingValue": _quantity(plan.left),
                "bucketCounter": [_counter(kind, size, period) for kind, size in counters],
            }
        ],
    }


def _counter(kind: str, size: int, period: dict[str, str]) -> dict[str, Any]:
    return {
        "@type": "BucketCounter",
        "counterType": kind,
        "level": "global",
        "value": _quantity(size),
        "valueName": f"{size} bytes",
        "consumptionPeriod": period,
    }


def _quantity(size: int) -> dict[str, Any]:
    return {"amount": float(size), "units": "byte", "exactAmount": str(size)}


def _local(plan: DataPlan, at: dt.datetime) -> str:
    return at.astimezone(plan.zone).isoformat()


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    phoneNumber: str  # noqa: N815, CAMARA's name


class _Volume(msgspec.Struct, forbid_unknown_fields=True):
    value: int
    unit: str


class _Retrieve(msgspec.Struct, forbid_unknown_fields=True):
    device: _Device


class _Check(msgspec.Struct, forbid_unknown_fields=True):
    device: _Device
    volumeToCheck: _Volume  # noqa: N815


@dataclass(frozen=True)
class VolumeRequest:
    """A request of device-data-volume.

    Attributes:
        phone: as sent, with its +.
        bytes: how much is asked about; None in a request of ``retrieve``.
    """

    phone: str
    bytes: int | None = None

    @property
    def msisdn(self) -> str:
        """The number without its +."""
        return self.phone.removeprefix("+")


def retrieve_request(body: bytes) -> VolumeRequest:
    """The body of ``POST /retrieve``.

    Raises:
        Problem: 400 if it is another one; unknown members are refused, as CAMARA asks.
    """
    return VolumeRequest(_phone(_read(body, _Retrieve).device))


def check_request(body: bytes) -> VolumeRequest:
    """The body of ``POST /check``.

    Raises:
        Problem: see ``retrieve_request``.
    """
    asked = _read(body, _Check)
    volume = asked.volumeToCheck
    if volume.unit not in _UNITS:
        raise wrong_parameter(400, "volumeToCheck.unit", volume.unit, f"one of {', '.join(_UNITS)}")
    if not 0 <= volume.value <= 1024:  # noqa: PLR2004, of the standard
        raise wrong_parameter(400, "volumeToCheck.value", str(volume.value), "a whole number from 0 to 1024")
    return VolumeRequest(_phone(asked.device), volume.value * _UNITS[volume.unit])


def retrieved(plan: DataPlan) -> dict[str, Any]:
    """The answer of ``POST /retrieve``: a category of what is left, and the bytes beside it."""
    category = next((name for name, below in _CATEGORIES if plan.left < below), _LARGEST)
    return {"dataVolumeCategory": category, "exactBytes": str(plan.left)}


def checked(plan: DataPlan, request: VolumeRequest) -> dict[str, Any]:
    """The answer of ``POST /check``: whether more is left than was asked about."""
    return {"thresholdExceeded": plan.left > (request.bytes or 0), "exactBytes": str(plan.left)}


def _read(body: bytes, kind: type[_Retrieve] | type[_Check]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not what device-data-volume takes: {error}") from None


def _phone(device: _Device) -> str:
    number = device.phoneNumber
    if not _E164.fullmatch(number):
        raise wrong_parameter(400, "device.phoneNumber", number, "+ and 5 to 15 digits, such as +48917846822")
    return number
