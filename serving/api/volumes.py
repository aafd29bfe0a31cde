"""Requests and answers of CAMARA's device-data-volume.

A device is identified by its phone number, or by an API key that is bound to one MSISDN: such a key is what the
standard calls a three-legged access token. What is left is a category of the standard; the exact bytes stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from bytemeter.web.problems import Problem, wrong_parameter
from serving.api.clients import Client
from serving.api.plans import DataPlan

_UNITS = {"MiB": 2**20, "GiB": 2**30}
# Categories of what is left, by the bytes below which each ends.
_CATEGORIES = (("<200MiB", 200 * 2**20), ("<1GiB", 2**30), ("<5GiB", 5 * 2**30))
_LARGEST = ">=5GiB"
_E164 = re.compile(r"\+[1-9][0-9]{4,14}")
_LONGEST_ADDRESS = 45


class _Ipv4(msgspec.Struct, forbid_unknown_fields=True):
    publicAddress: str  # noqa: N815, CAMARA's names
    privateAddress: str | UnsetType = UNSET  # noqa: N815
    publicPort: Annotated[int, Meta(ge=1, le=65_535)] | UnsetType = UNSET  # noqa: N815


class _Device(msgspec.Struct, forbid_unknown_fields=True):
    phoneNumber: str | UnsetType = UNSET  # noqa: N815
    networkAccessIdentifier: Annotated[str, Meta(max_length=2_048)] | UnsetType = UNSET  # noqa: N815
    ipv4Address: _Ipv4 | UnsetType = UNSET  # noqa: N815
    ipv6Address: str | UnsetType = UNSET  # noqa: N815

    def identifiers(self) -> list[str]:
        """The names of those that are given."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]


class _Volume(msgspec.Struct, forbid_unknown_fields=True):
    value: int
    unit: str


class _Retrieve(msgspec.Struct, forbid_unknown_fields=True):
    device: _Device | UnsetType = UNSET


class _Check(msgspec.Struct, forbid_unknown_fields=True):
    volumeToCheck: _Volume  # noqa: N815
    device: _Device | UnsetType = UNSET


@dataclass(frozen=True)
class VolumeRequest:
    """A request of device-data-volume.

    Attributes:
        msisdn: of the device.
        bytes: how much is asked about; None in a request of ``retrieve``.
        chosen: the phone number as sent, where other identifiers were sent beside it: the answer names the one in use.
    """

    msisdn: str
    bytes: int | None = None
    chosen: str | None = None


def retrieve_request(body: bytes, client: Client) -> VolumeRequest:
    """The body of ``POST /retrieve``.

    Raises:
        Problem: 400 if it is another one; unknown members are refused, as CAMARA asks. 422 if the device is not
            identified, by none of the identifiers that are supported, or both by the body and by the client's key.
    """
    return _identified(_read(body, _Retrieve).device, client, None)


def check_request(body: bytes, client: Client) -> VolumeRequest:
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
    return _identified(asked.device, client, volume.value * _UNITS[volume.unit])


def retrieved(plan: DataPlan, request: VolumeRequest) -> dict[str, Any]:
    """The answer of ``POST /retrieve``: a category of what is left, and the bytes beside it."""
    category = next((name for name, below in _CATEGORIES if plan.left < below), _LARGEST)
    return {**_device(request), "dataVolumeCategory": category, "exactBytes": str(plan.left)}


def checked(plan: DataPlan, request: VolumeRequest) -> dict[str, Any]:
    """The answer of ``POST /check``: whether more is left than was asked about."""
    return {**_device(request), "thresholdExceeded": plan.left > (request.bytes or 0), "exactBytes": str(plan.left)}


def _device(request: VolumeRequest) -> dict[str, Any]:
    return {"device": {"phoneNumber": request.chosen}} if request.chosen else {}


def _read(body: bytes, kind: type[_Retrieve] | type[_Check]) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is not what device-data-volume takes: {error}") from None


def _identified(device: _Device | UnsetType, client: Client, bytes_: int | None) -> VolumeRequest:
    """The request once it is known which device it is about."""
    if isinstance(device, _Device):
        _require_sound(device)
        if client.msisdn is not None:
            # Also where both are the same: the standard has no comparison, which would tell whose the key is.
            detail = "this API key is bound to one MSISDN, which identifies the device; leave out device"
            raise Problem(422, detail, code="UNNECESSARY_IDENTIFIER", name="device", expected="no device")
        if isinstance(number := device.phoneNumber, str):
            return VolumeRequest(number[1:], bytes_, number if len(device.identifiers()) > 1 else None)
        names = ", ".join(device.identifiers())
        raise Problem(
            422, f"device has {names}; expected phoneNumber, the one identifier that is supported",
            code="UNSUPPORTED_IDENTIFIER", name="device", value=names, expected="phoneNumber",
        )  # fmt: skip
    if client.msisdn is None:
        detail = "device is missing, and this API key is not bound to an MSISDN; give device.phoneNumber"
        raise Problem(422, detail, code="MISSING_IDENTIFIER", name="device", expected="phoneNumber")
    return VolumeRequest(client.msisdn, bytes_)


def _require_sound(device: _Device) -> None:
    """Refuse identifiers that are none, whether or not they are supported."""
    if not device.identifiers():
        raise Problem(400, "device is empty; expected phoneNumber", name="device", expected="phoneNumber")
    if isinstance(number := device.phoneNumber, str) and not _E164.fullmatch(number):
        raise wrong_parameter(400, "device.phoneNumber", number, "+ and 5 to 15 digits, such as +48917846822")
    _require_address("device.ipv6Address", device.ipv6Address, IPv6Address)
    if isinstance(ipv4 := device.ipv4Address, _Ipv4):
        _require_address("device.ipv4Address.publicAddress", ipv4.publicAddress, IPv4Address)
        _require_address("device.ipv4Address.privateAddress", ipv4.privateAddress, IPv4Address)
        if ipv4.privateAddress is UNSET and ipv4.publicPort is UNSET:
            name, expected = "device.ipv4Address", "privateAddress or publicPort beside publicAddress"
            raise Problem(400, f"{name} has only publicAddress; expected {expected}", name=name, expected=expected)


def _require_address(name: str, value: str | UnsetType, kind: Callable[[str], object]) -> None:
    if isinstance(value, UnsetType):
        return
    try:
        # A zone of the sender's machine (%eth0) is no part of an address.
        sound = len(value) <= _LONGEST_ADDRESS and "%" not in value and kind(value)
    except ValueError:
        sound = False
    if not sound:
        raise wrong_parameter(400, name, value, f"an {kind.__name__.removesuffix('Address')} address")
