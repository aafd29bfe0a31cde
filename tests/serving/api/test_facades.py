"""TMF677 and CAMARA say what ``/v1/data-plans`` says, each in its own words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.serving.api.conftest import subscriber
from tests.serving.api.test_plans import END, START, plans

__all__ = ["plans"]
TMF = "/tmf-api/usageConsumption/v5/usageConsumptionReport"
CAMARA = "/device-data-volume/v0"
DEVICE = {"phoneNumber": "+48501234567"}


@pytest.fixture(scope="module")
def _used(plans: None, shared_engine: Engine) -> None:
    """48 is the number of the device, and its plan has 4 GiB."""
    with shared_engine.begin() as connection:
        subscriber(connection, "a", "48501234567", zone="Europe/Warsaw", limit=2**32)


@pytest.fixture(scope="module")
def api(shared_api: httpx.Client, _used: None) -> httpx.Client:
    """All tests of this module only read."""
    return shared_api


def test_a_report_has_a_bucket_with_what_is_used_and_left_also_as_texts(api: httpx.Client) -> None:
    report = api.get(f"{TMF}/48501234567").json()
    period = {"startDateTime": START.isoformat(), "endDateTime": END.isoformat()}
    assert (report["@type"], report["id"], report["validPeriod"]) == ("UsageConsumptionReport", "48501234567", period)
    assert report["logicalResource"][0]["value"] == "48501234567"
    (bucket,) = report["bucket"]
    assert (bucket["usageType"], bucket["isShared"], bucket["status"]) == ("data", False, "active")
    assert bucket["remainingValue"] == {"amount": 4294966696.0, "units": "byte", "exactAmount": "4294966696"}
    counters = {one["counterType"]: one["value"]["exactAmount"] for one in bucket["bucketCounter"]}
    assert counters == {"used": "600", "remaining": "4294966696"}
    (listed,) = api.get(TMF, params={"logicalResource.value": "48501234567"}).json()
    assert listed["bucket"] == report["bucket"]
    assert api.get(TMF, params={"logicalResource.value": "47"}).json() == []
    assert api.get(f"{TMF}/47").status_code == 404
    assert api.get(TMF).json()["name"] == "logicalResource.value"


def test_a_volume_is_a_category_and_compared_to_what_is_asked(api: httpx.Client) -> None:
    assert api.post(f"{CAMARA}/retrieve", json={"device": DEVICE}).json() == {
        "dataVolumeCategory": "<5GiB", "exactBytes": "4294966696",
    }  # fmt: skip
    for value, unit, exceeded in ((3, "GiB", True), (4, "GiB", False), (0, "MiB", True), (1_024, "MiB", True)):
        asked = {"device": DEVICE, "volumeToCheck": {"value": value, "unit": unit}}
        assert api.post(f"{CAMARA}/check", json=asked).json()["thresholdExceeded"] is exceeded


BAD: list[tuple[str, Any]] = [
    ("retrieve", {"device": {}}),
    ("retrieve", {"device": None}),
    ("retrieve", {"device": {"phoneNumber": "48501234567"}}),
    ("retrieve", {"device": {"phoneNumber": "+48\ud800"}}),
    ("retrieve", {"device": DEVICE, "extra": 1}),
    ("retrieve", {"device": {**DEVICE, "imei": "1"}}),
    ("retrieve", {"device": {**DEVICE, "ipv4Address": "1.2.3.4"}}),
    ("retrieve", {"device": {**DEVICE, "ipv4Address": {"publicAddress": "1.2.3.4"}}}),
    ("retrieve", {"device": {**DEVICE, "ipv4Address": {"publicPort": 1}}}),
    ("retrieve", {"device": {"ipv4Address": {"publicAddress": "1.2.3.256", "publicPort": 1}}}),
    ("retrieve", {"device": {"ipv4Address": {"publicAddress": "1.2.3.4", "publicPort": 65_536}}}),
    ("retrieve", {"device": {"ipv6Address": "2001:db8::1::2"}}),
    ("retrieve", {"device": {"ipv6Address": "fe80::1%eth0"}}),
    ("retrieve", {"device": {"networkAccessIdentifier": "1" * 2_049}}),
    ("retrieve", []),
    ("check", {"device": DEVICE}),
    ("check", {"device": DEVICE, "volumeToCheck": {"value": 1, "unit": "TiB"}}),
    ("check", {"device": DEVICE, "volumeToCheck": {"value": 1_025, "unit": "GiB"}}),
    ("check", {"device": DEVICE, "volumeToCheck": {"value": 1.5, "unit": "GiB"}}),
]


def test_other_bodies_are_refused(api: httpx.Client) -> None:
    for route, body in BAD:
        content = json.dumps(body).encode()
        answer = api.post(f"{CAMARA}/{route}", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT"), (body, answer.text)
    unknown = api.post(f"{CAMARA}/retrieve", json={"device": {"phoneNumber": "+48000"}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "IDENTIFIER_NOT_FOUND")
    large = api.post(f"{CAMARA}/retrieve", content=b" " * 16_385, headers={"Content-Type": "application/json"})
    assert large.status_code == 413
    assert api.post(f"{CAMARA}/retrieve", content=b"{}", headers={"Content-Type": "text/plain"}).status_code == 415
    assert api.get(f"{CAMARA}/retrieve").status_code == 405


UNSUPPORTED: list[dict[str, Any]] = [
    {"networkAccessIdentifier": "123456789@example.com"},
    {"ipv4Address": {"publicAddress": "84.125.93.10", "publicPort": 59_765}},
    {"ipv4Address": {"publicAddress": "84.125.93.10", "privateAddress": "10.0.0.1"}},
    {"ipv6Address": "2001:db8:85a3:8d3:1319:8a2e:370:7344"},
    {"ipv6Address": "2001:db8::1", "networkAccessIdentifier": ""},
]
BOTH_ROUTES: list[tuple[str, dict[str, Any]]] = [
    ("retrieve", {}),
    ("check", {"volumeToCheck": {"value": 1, "unit": "MiB"}}),
]


@pytest.mark.parametrize(("route", "body"), BOTH_ROUTES)
def test_identifiers_that_are_not_supported_or_missing_are_told_apart(
    api: httpx.Client, route: str, body: dict[str, Any]
) -> None:
    for device in UNSUPPORTED:
        alone = api.post(f"{CAMARA}/{route}", json={**body, "device": device})
        assert (alone.status_code, alone.json()["code"]) == (422, "UNSUPPORTED_IDENTIFIER"), device
        beside = api.post(f"{CAMARA}/{route}", json={**body, "device": {**device, **DEVICE}}).json()
        only = api.post(f"{CAMARA}/{route}", json={**body, "device": DEVICE}).json()
        # The answer tells which of several identifiers is in use.
        assert beside == {"device": DEVICE, **only}, device
    missing = api.post(f"{CAMARA}/{route}", json=body)
    assert (missing.status_code, missing.json()["code"]) == (422, "MISSING_IDENTIFIER")


def test_an_answer_has_the_correlator_of_its_request(api: httpx.Client) -> None:
    for body, status in (({"device": DEVICE}, 200), ({}, 422)):
        sent = {"x-correlator": "b4333c46-49c0/<1>;{2}:_."}
        answer = api.post(f"{CAMARA}/retrieve", json=body, headers=sent)
        assert (answer.status_code, answer.headers["x-correlator"]) == (status, sent["x-correlator"])
        assert "x-correlator" not in api.post(f"{CAMARA}/retrieve", json=body).headers
    for other in ("a b", "ü", "x" * 257):
        refused = api.post(f"{CAMARA}/retrieve", json={"device": DEVICE}, headers={"x-correlator": other.encode()})
        assert (refused.status_code, refused.json()["name"]) == (400, "x-correlator"), other
        assert "x-correlator" not in refused.headers


def test_a_bound_key_sees_no_other_number_here_either(shared: Settings, api: httpx.Client, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, {"own": "subscribers msisdn=48501234567", "network": "network"})
    with serving(shared, keys=keys) as url:
        with httpx.Client(base_url=url, headers={"Authorization": "Bearer own"}) as bound:
            assert bound.get(f"{TMF}/48501234567").status_code == 200
            assert bound.get(f"{TMF}/49").status_code == 404
            assert bound.get(TMF, params={"logicalResource.value": "49"}).json() == []
            for route, body in BOTH_ROUTES:
                # The key identifies the device; whether the body names the same one is not told.
                for device in (DEVICE, {"phoneNumber": "+49000000"}, *UNSUPPORTED):
                    both = bound.post(f"{CAMARA}/{route}", json={**body, "device": device})
                    assert (both.status_code, both.json()["code"]) == (422, "UNNECESSARY_IDENTIFIER"), device
                own = bound.post(f"{CAMARA}/{route}", json=body)
                assert own.json() == api.post(f"{CAMARA}/{route}", json={**body, "device": DEVICE}).json()
            other = bound.post(f"{CAMARA}/retrieve", json={}, headers={"Authorization": "Bearer network"})
            assert (other.status_code, other.json()["code"]) == (403, "PERMISSION_DENIED")
