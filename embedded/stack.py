"""The embedded stack as one thing: up, down, status, and the settings that lead to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from pydantic import SecretStr

from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings
from embedded.broker import Broker
from embedded.database import Database
from embedded.home import Home

Tell = Callable[[str], None]
_ENDPOINTS = ("kafka", "database_url", "history")


class EmbeddedStack:
    """A real Kafka and a real PostgreSQL as local processes under one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.servers: tuple[Broker, Database] = (Broker(home), Database(home))

    def up(self) -> list[str]:
        """Start what is not running, both at once; the names of what was started."""
        with self.home.locked():
            absent = [server for server in self.servers if not server.running()]
            for server in absent:
                server.home.port(server.name)
            with ThreadPoolExecutor(len(self.servers)) as pool:
                starting = [pool.submit(server.start) for server in absent]
            failures = [failure for server in starting if (failure := server.exception())]
            if failures:
                for server in absent:
                    server.stop()
                raise failures[0]
        return [server.name for server in absent]

    def down(self, only: list[str] | None = None) -> list[str]:
        """Stop what is running (of those named); the names of what was stopped. Data stay."""
        with self.home.locked():
            return [s.name for s in self.servers if (only is None or s.name in only) and s.stop()]

    def running(self) -> dict[str, bool]:
        """Each server's name, and whether it runs."""
        return {server.name: server.running() for server in self.servers}

    def settings(self, settings: Settings) -> Settings:
        """The settings with the endpoints of this stack."""
        broker, database = self.servers
        endpoints = {
            "kafka": broker.servers,
            "database_url": SecretStr(database.url),
            "history": str(self.home.folder("history")),
        }
        return settings.model_copy(update=endpoints)


def embedded(settings: Settings) -> bool:
    """Whether the settings mean the embedded stack: no endpoint of one's own is named."""
    return all(getattr(settings, name) is None for name in _ENDPOINTS)


@contextmanager
def endpoints(settings: Settings, *needed: str, tell: Tell) -> Iterator[Settings]:
    """Settings in which the needed endpoints stand: one's own, or those of the embedded stack.

    A stack that is down is started for the duration and stopped afterwards.

    Raises:
        BytemeterError: some endpoints are one's own and a needed one is missing; all missing are named.
    """
    if not embedded(settings):
        missing = [PREFIX + name.upper() for name in needed if getattr(settings, name) is None]
        if missing:
            given = [PREFIX + name.upper() for name in _ENDPOINTS if getattr(settings, name) is not None]
            raise BytemeterError(
                f"{', '.join(given)} is set but {', '.join(missing)} is not; "
                "set all that the command needs, or none to use the embedded stack"
            )
        yield settings
        return
    stack = EmbeddedStack(Home(settings.home))
    started = stack.up()
    tell(f"using the embedded stack of {settings.home}" + (" (started for this command)" if started else ""))
    try:
        yield stack.settings(settings)
    finally:
        stack.down(only=started)
