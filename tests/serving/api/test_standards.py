"""Answers of the field's own interfaces are what their standards say: by our schemas, and by the published ones."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine

from bytemeter.plans.events import EXCEEDED, REACHED
from bytemeter.plans.outbox import write
from bytemeter.settings import Settings
from tests.apis import keys_file, serving
from tests.builders import utc
from tests.serving.api.conftest import subscriber, threshold_event
from tests.serving.api.test_facades import CAMARA, DEVICE, TMF
from tests.serving.api.test_plans import plans
from tests.standards import Faults, ours, published

__all__ = ["plans"]
START = utc("2026-11-01")
# By standard and definition what the API has answered, with the HTTP status.
Answers = dict[tuple[str, str], list[tuple[int, Any]]]


@pytest.fixture(scope="module")
def answers(shared: Settings, shared_engine: Engine, plans: None, tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What each route of the standards answers, also to keys that may not ask and to wrong requests."""
    with shared_engine.begin() as connection:
        subscriber(connection, "d", "48501234567", zone="Asia/Kolkata", limit=2**32)
        write(connection, [
            *(threshold_event("d", START, REACHED, percent=p, total=10 * p, at=START, ordinal=p) for p in (50, 75, 90)),
            threshold_event("d", START, EXCEEDED, percent=100, total=1_000, at=START, ordinal=100),
        ], source="live")  # fmt: skip
    grants = {"all": "subscribers", "network": "network", "bound": "subscribers msisdn=48501234567"}
    keys = keys_file(tmp_path_factory.mktemp("keys"), grants)
    with serving(shared, keys=keys) as url, httpx.Client(base_url=url, headers={"Authorization": "Bearer all"}) as api:
        return {
            ("tmf677", "Report"): [
                *(_answer(api.get(f"{TMF}/{msisdn}")) for msisdn in ("48", "49", "48501234567")),
                *((200, one) for one in api.get(TMF, params={"logicalResource.value": "48"}).json()),
            ],
            ("tmf677", "Error"): [
                _answer(api.get(f"{TMF}/47")),
                _answer(api.get(TMF)),
                *(_answer(api.get(f"{TMF}/48", headers=_key(key))) for key in ("other", "network")),
            ],
            ("camara", "Category"): [
                _volume(api, "retrieve"),
                _volume(api, "retrieve", device={**DEVICE, "ipv6Address": "2001:db8::1"}),
            ],
            ("camara", "Exceeded"): [
                _volume(api, "check", volumeToCheck={"value": 1, "unit": "MiB"}),
                _volume(api, "check", _key("bound"), device=None, volumeToCheck={"value": 1, "unit": "MiB"}),
            ],
            ("camara", "Error"): [
                _volume(api, "retrieve", device={"phoneNumber": "+48000"}),
                _volume(api, "retrieve", device={"phoneNumber": "+48" + "x" * 5_000}),
                *(_volume(api, "retrieve", _key(key)) for key in ("other", "network")),
                _volume(api, "check", {"Content-Type": "text/plain"}),
                _volume(api, "retrieve", device=None),
                _volume(api, "retrieve", device={"networkAccessIdentifier": "1@example.com"}),
                _volume(api, "retrieve", _key("bound")),
            ],
            ("camara", "Event"): [(200, event) for event in _events(api, 4)],
        }


def _key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def _answer(answer: httpx.Response) -> tuple[int, Any]:
    assert answer.headers["Content-Type"] == "application/json"
    return answer.status_code, answer.json()


def _volume(api: httpx.Client, route: str, headers: dict[str, str] | None = None, **members: Any) -> tuple[int, Any]:
    asked = {"device": DEVICE, **members}
    content = json.dumps({name: member for name, member in asked.items() if member is not None})
    return _answer(
        api.post(f"{CAMARA}/{route}", content=content, headers={"Content-Type": "application/json", **(headers or {})})
    )


def _events(api: httpx.Client, count: int) -> Iterator[Any]:
    asked = {"recent": str(count), "format": "cloudevents", "msisdn": "48501234567"}
    with api.stream("GET", "/v1/threshold-events/stream", params=asked) as answer:
        for line in answer.iter_lines():
            if line.startswith("data: "):
                yield json.loads(line.removeprefix("data: "))
                count -= 1
            if not count:
                return


def test_answers_are_what_the_standards_say(answers: Answers) -> None:
    for (standard, definition), found in answers.items():
        faults = ours(standard)
        for status, document in found:
            assert faults(definition, document) == [], (definition, document)
            assert (status == 200) == (definition != "Error")
            # The schema sees what is missing.
            for name in document.keys() & {"@type", "id", "code", "status", "exactBytes", "time", "bucket", "data"}:
                assert faults(definition, {key: value for key, value in document.items() if key != name})
    assert [status for status, _ in answers["tmf677", "Error"]] == [404, 400, 401, 403]
    assert [(status, error["code"]) for status, error in answers["camara", "Error"]] == [
        (404, "IDENTIFIER_NOT_FOUND"), (400, "INVALID_ARGUMENT"), (401, "UNAUTHENTICATED"), (403, "PERMISSION_DENIED"),
        (415, "UNSUPPORTED_MEDIA_TYPE"), (422, "MISSING_IDENTIFIER"), (422, "UNSUPPORTED_IDENTIFIER"),
        (422, "UNNECESSARY_IDENTIFIER"),
    ]  # fmt: skip
    assert [event["type"].rpartition(".")[2] for _, event in answers["camara", "Event"]] == [
        "data-50-percent", "data-75-percent", "data-90-percent", "data-exceeded",
    ]  # fmt: skip


def test_answers_are_what_the_published_definitions_say(answers: Answers) -> None:
    tmf, volume = published("tmf677-usage-consumption-v5.1.0.oas.yaml"), published("device-data-volume.yaml")
    events, common = published("device-data-volume-subscriptions.yaml"), published("CAMARA_common.yaml")
    for _, report in answers["tmf677", "Report"]:
        assert tmf("schemas/UsageConsumptionReport", report) == []
        assert tmf("schemas/UsageConsumptionReport", _changed(report, "bucket", 0, "remainingValue", "amount"))
        assert tmf("schemas/UsageConsumptionReport", _changed(report, "validPeriod", "endDateTime"))
    _require(tmf, "schemas/Error", answers["tmf677", "Error"])
    _require(volume, "schemas/RetrieveDataVolumeResponse", answers["camara", "Category"])
    _require(volume, "schemas/CheckDataVolumeResponse", answers["camara", "Exceeded"])
    for status, error in answers["camara", "Error"]:
        assert common(f"responses/Generic{status}/content/application~1json/schema", error) == []
    assert common("responses/Generic400/content/application~1json/schema", answers["camara", "Error"][0][1])
    _require(events, "schemas/NotificationEvent", answers["camara", "Event"])


def _require(faults: Faults, definition: str, found: list[tuple[int, Any]]) -> None:
    for _, document in found:
        assert faults(definition, document) == [], document
        assert faults(definition, {}), definition


def _changed(document: Any, *path: str | int) -> Any:
    """The document with a text that means nothing in one place."""
    changed = copy.deepcopy(document)
    place = changed
    for step in path[:-1]:
        place = place[step]
    assert path[-1] in place
    place[path[-1]] = "rubbish"
    return changed
