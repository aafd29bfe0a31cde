"""A collector for many tests that answers by itself: Kafka is away, and what is accepted goes to a journal."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from bytemeter.settings import Settings, load_settings
from tests.collectors import NO_KAFKA, serving
from tests.servers import keys_line

KEY = {"Authorization": "Bearer key-1"}
LIMITS = {"collector_body_bytes": 20_000, "collector_events": 100, "collector_timeout_s": 0.5}


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings with small limits, and no Kafka."""
    return load_settings(home=tmp_path_factory.mktemp("home"), kafka=NO_KAFKA, **LIMITS)


@pytest.fixture(scope="session")
def client(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of a collector with a journal and keys, which has key-1."""
    folder = tmp_path_factory.mktemp("collector")
    keys = folder / "keys"
    clients = (
        ("phones", "key-1", "devices"),
        ("games", "key-2", "game-events"),
        ("tests", "key-3", "data-records"),
        ("schools", "key-4", "*"),
    )
    keys.write_text("".join(keys_line(*of_client) for of_client in clients))
    keys.chmod(0o600)
    with serving(settings, keys=keys, journal=folder / "journal", generator=True) as url:
        with httpx.Client(base_url=url, headers=KEY) as asking:
            yield asking
