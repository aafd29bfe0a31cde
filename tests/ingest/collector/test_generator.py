"""The generator's routes: only where they were asked for, within their bounds, and not while Kafka is away."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bytemeter.settings import Settings
from tests.collectors import serving
from tests.servers import keys_line

AGREEMENTS, DATA_RECORDS = "/api/agreements/generate", "/api/incoming-data-records/generate"
DATA_RECORDS_KEY = {"Authorization": "Bearer key-3"}


@pytest.mark.parametrize(
    ("path", "name", "value", "expected"),
    [
        (f"{DATA_RECORDS}?records=0", "records", "0", "a whole number from 1 to 1000000"),
        (f"{DATA_RECORDS}?records=1000001", "records", "1000001", "a whole number from 1 to 1000000"),
        (f"{DATA_RECORDS}?records=%C2%B2", "records", "²", "a whole number from 1 to 1000000"),
        (f"{DATA_RECORDS}?subscribers=-1", "subscribers", "-1", "a whole number from 1 to 100000"),
        (f"{DATA_RECORDS}?seed=", "seed", "", "a whole number from 0 to 2147483647"),
        (f"{DATA_RECORDS}?seed=1&seed=2", "seed", "1", "this parameter once"),
        (f"{DATA_RECORDS}?month=2026-13", "month", "2026-13", "a month of this century that has begun, e.g. 2026-11"),
        (f"{DATA_RECORDS}?month=2099-01", "month", "2099-01", "a month of this century that has begun, e.g. 2026-11"),
        (f"{DATA_RECORDS}?rate=5", "query", "rate", "only subscribers, seed, month, records"),
    ],
)
def test_wrong_parameters_are_named(client: httpx.Client, path: str, name: str, value: str, expected: str) -> None:
    answer = client.post(path, headers=DATA_RECORDS_KEY)
    assert answer.status_code == 400
    problem = answer.json()
    assert (problem["name"], problem["value"], problem["expected"]) == (name, value, expected)


def test_while_kafka_is_away_nothing_is_generated_not_even_into_the_journal(client: httpx.Client) -> None:
    answer = client.post(DATA_RECORDS, headers=DATA_RECORDS_KEY)
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert answer.json()["detail"] == "Kafka cannot be reached; repeat the request"


def test_a_key_needs_the_right_for_the_feed_and_no_other_site_may_have_a_browser_call(client: httpx.Client) -> None:
    assert client.post(AGREEMENTS, headers=DATA_RECORDS_KEY).status_code == 403
    assert client.post(AGREEMENTS, headers={"Authorization": ""}).status_code == 401
    answer = client.get(DATA_RECORDS, headers={**DATA_RECORDS_KEY, "Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.json()["name"]) == (403, "Sec-Fetch-Site")
    assert client.get(DATA_RECORDS, headers={**DATA_RECORDS_KEY, "Sec-Fetch-Site": "none"}).status_code == 503


def test_get_generates_on_loopback_only_and_head_never(
    client: httpx.Client, settings: Settings, tmp_path: Path
) -> None:
    assert client.get(DATA_RECORDS, headers=DATA_RECORDS_KEY).status_code == 503
    assert client.head(DATA_RECORDS, headers=DATA_RECORDS_KEY).status_code == 405
    keys = tmp_path / "keys"
    keys.write_text(keys_line("all", "key", "*"))
    keys.chmod(0o600)
    with serving(settings, host="0.0.0.0", keys=keys, generator=True) as url:  # noqa: S104
        everywhere = url.replace("0.0.0.0", "127.0.0.1") + DATA_RECORDS  # noqa: S104
        statuses = [httpx.request(method, everywhere, headers={"Authorization": "Bearer key"}).status_code
                    for method in ("GET", "POST")]  # fmt: skip
        assert statuses == [405, 503]


def test_without_being_asked_for_there_is_no_generator(settings: Settings) -> None:
    with serving(settings) as url:
        assert httpx.post(url + DATA_RECORDS).status_code == 404
        assert DATA_RECORDS not in httpx.get(f"{url}/openapi.json").json()["paths"]
