"""The embedded Kafka and PostgreSQL together: up, down, status, and settings with their endpoints."""

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
from embedded.users import StackUsers

Notify = Callable[[str], None]
_ENDPOINTS = ("kafka", "database_url", "history")


class EmbeddedStack:
    """The Kafka and the PostgreSQL of one home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.servers: tuple[Broker, Database] = (Broker(home), Database(home))
        self._users = StackUsers(home)

    def up(self) -> list[str]:
        """Start the servers that are not running, and leave them running; returns the names of those started.

        Raises:
            BytemeterError: a server could not be started; then none is left running that was not before.
        """
        with self.home.locked():
            started = self._start_absent()
            self._users.keep(kept=True)
        return started

    def down(self) -> list[str]:
        """Stop the running servers, whoever uses them; returns the names of those stopped. Their data stay."""
        with self.home.locked():
            self._users.keep(kept=False)
            return self._stop()

    @contextmanager
    def used(self) -> Iterator[list[str]]:
        """Use the stack; yields the names of the servers that had to be started.

        Servers run as long as a process uses them. The last one stops them, unless they were started by ``up``.

        Raises:
            BytemeterError: see ``up``.
        """
        with self.home.locked():
            user = self._users.add()
            try:
                started = self._start_absent()
            except BaseException:
                self._users.remove(user)
                raise
        try:
            yield started
        finally:
            with self.home.locked():
                self._users.remove(user)
                if not (self._users.kept or self._users.any()):
                    self._stop()

    def _start_absent(self) -> list[str]:
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

    def _stop(self) -> list[str]:
        return [server.name for server in self.servers if server.stop()]

    def running(self) -> dict[str, bool]:
        """Whether each server runs, by name."""
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
    """Whether the settings mean the embedded stack: they name no endpoint."""
    return all(getattr(settings, name) is None for name in _ENDPOINTS)


@contextmanager
def endpoints(settings: Settings, *needed: str, notify: Notify) -> Iterator[Settings]:
    """Settings with the needed endpoints: those given, or all of the embedded stack if none is given.

    Servers of the stack that are down are started; the last process that uses them stops them.

    Args:
        notify: called with the line that names the stack.

    Raises:
        BytemeterError: some endpoints are given, but not all needed ones; or the stack could not be started.
    """
    if not embedded(settings):
        missing = [PREFIX + name.upper() for name in needed if getattr(settings, name) is None]
        if missing:
            given = [PREFIX + name.upper() for name in _ENDPOINTS if getattr(settings, name) is not None]
            raise BytemeterError(
                f"{', '.join(given)} is set but {', '.join(missing)} is not; "
                "set all endpoints that the command needs, or none to use the embedded stack"
            )
        yield settings
        return
    stack = EmbeddedStack(Home(settings.home))
    with stack.used() as started:
        notify(f"using the embedded stack of {settings.home}" + (" (started for this command)" if started else ""))
        yield stack.settings(settings)
