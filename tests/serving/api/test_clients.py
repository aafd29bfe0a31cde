"""Clients of the usage API: scopes, and keys that are bound to one subscriber or customer."""

from __future__ import annotations

from pathlib import Path

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.web.keys import Keys
from bytemeter.web.problems import Problem
from serving.api.clients import CLIENTS
from serving.api.rates import Rates
from tests.apis import keys_file


def test_a_line_gives_scopes_and_what_the_key_is_bound_to(tmp_path: Path) -> None:
    grants = {"a": "network,billing", "b": "subscribers msisdn=48", "c": "billing customer=a%2Fb%20c"}
    keys = Keys(keys_file(tmp_path, grants), CLIENTS)
    first, second, third = (keys.client(f"Bearer {key}") for key in grants)
    first.require("network")
    with pytest.raises(Problem, match="has not the scope subscribers") as caught:
        first.require("subscribers")
    assert caught.value.status == 403
    assert first.sees(msisdn="48")
    assert (second.sees(msisdn="48"), second.sees(msisdn="49"), second.sees()) == (True, False, False)
    assert (third.sees(customer="a/b c"), third.sees(customer="a/b")) == (True, False)


@pytest.mark.parametrize(
    ("grants", "complaint"),
    [
        ("all", "line 1 of .* names the scope 'all'; the scopes are network, subscribers, billing"),
        ("network msisdn=48", "is bound to one msisdn; its only scope can be subscribers"),
        ("billing,network customer=Emma", "is bound to one customer; its only scope can be billing"),
        ("billing Emma", "expected nothing, msisdn=N or customer=C"),
        ("billing customer=", "expected nothing, msisdn=N or customer=C"),
        ("billing customer=a b", "expected nothing, msisdn=N or customer=C"),
    ],
)
def test_grants_that_mean_nothing_are_refused(tmp_path: Path, grants: str, complaint: str) -> None:
    with pytest.raises(BytemeterError, match=complaint):
        Keys(keys_file(tmp_path, {"k": grants}), CLIENTS)


def test_each_client_has_a_rate_of_its_own_and_a_burst_of_two_seconds() -> None:
    now = 0.0
    rates = Rates(2.0, lambda: now)
    for _ in range(4):
        rates.take("a")
    with pytest.raises(Problem, match="more than 2 requests a second") as caught:
        rates.take("a")
    assert (caught.value.status, caught.value.response().headers["Retry-After"]) == (429, "1")
    rates.take("b")
    now = 0.5
    rates.take("a")
    with pytest.raises(Problem):
        rates.take("a")
