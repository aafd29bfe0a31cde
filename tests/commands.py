"""How a test runs a command on its place."""

from __future__ import annotations

from bytemeter.settings import Settings


def endpoints(place: Settings) -> list[str]:
    """The options that lead a command to the test's servers."""
    return [
        "--home", str(place.home), "--kafka", str(place.kafka), "--database-url", place.require_database_url(),
        "--history", str(place.history),
    ]  # fmt: skip
