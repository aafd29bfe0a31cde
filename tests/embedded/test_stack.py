"""The embedded stack as the source of endpoints: used where none are given, and left as it was."""

from __future__ import annotations

import pytest

from bytemeter.errors import BytemeterError
from bytemeter.settings import Settings, load_settings
from embedded.home import Home
from embedded.stack import EmbeddedStack, endpoints


def test_a_running_stack_is_used_and_left_running(servers: Settings) -> None:
    notices: list[str] = []
    with endpoints(load_settings(home=servers.home), "kafka", notify=notices.append) as ready:
        assert (ready.kafka, ready.history) == (servers.kafka, servers.history)
    assert notices == [f"using the embedded stack of {servers.home}"]
    assert EmbeddedStack(Home(servers.home)).running() == {"kafka": True, "postgresql": True}


def test_given_endpoints_are_used_and_all_missing_ones_are_named() -> None:
    given = load_settings(kafka="broker:9092")
    notices: list[str] = []
    with endpoints(given, "kafka", notify=notices.append) as ready:
        assert ready is given
    with (
        pytest.raises(
            BytemeterError, match="BYTEMETER_KAFKA is set but BYTEMETER_DATABASE_URL, BYTEMETER_HISTORY is not"
        ),
        endpoints(given, "kafka", "database_url", "history", notify=notices.append),
    ):
        pass
    assert notices == []
