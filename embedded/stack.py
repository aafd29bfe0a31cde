"""The embedded Kafka and PostgreSQL together: up, down, status, and settings with their endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import SecretStr

from bytemeter.ending import uninterrupted
from bytemeter.errors import BytemeterError
from bytemeter.settings import PREFIX, Settings
from embedded.broker import Broker
from embedded.database import Database
from embedded.home import Home
from embedded.users import StackUsers

Notify = Callable[[str], None]
Server = Broker | Database
_ENDPOINTS = ("kafka", "database_url", "history")
_POLL_S = 0.1


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
        user: Path | None = None
        try:
            with self.home.locked():
                user = self._users.add()
                started = self._start_absent()
            yield started
        finally:
            if user:
                with uninterrupted(), self.home.locked():
                    self._users.remove(user)
                    if not (self._users.kept or self._users.any()):
                        self._stop()

    def take_back(self, started: Sequence[str]) -> None:
        """Undo an ``up`` that is not to last: stop the servers that it has started."""
        with uninterrupted(), self.home.locked():
            if len(started) == len(self.servers):
                self._users.keep(kept=False)
            for server in self.servers:
                if server.name in started:
                    server.stop()

    def _start_absent(self) -> list[str]:
        absent: list[Server] = [server for server in self.servers if not server.running()]
        for server in absent:
            server.prepare()
        pool = ThreadPoolExecutor(len(self.servers))
        starting: list[Future[None]] = []
        try:
            for server in absent:
                starting.append(pool.submit(server.start))
            for server_starting in starting:
                server_starting.result()
        except BaseException:
            with uninterrupted():
                _cancel(absent, starting)
            raise
        finally:
            pool.shutdown(wait=False)
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


def _cancel(servers: Sequence[Server], starting: Sequence[Future[None]]) -> None:
    """Stop servers, some of which are still being started."""
    ended = False
    while not ended:
        # Asked before stopping: what was started last is stopped, too.
        ended = not wait(starting, _POLL_S).not_done
        for server in servers:
            with suppress(BytemeterError):
                server.stop()


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
    if needed == ("history",):
        notify(f"using the history of {settings.home}")
        yield settings.model_copy(update={"history": str(Home(settings.home).folder("history"))})
        return
    stack = EmbeddedStack(Home(settings.home))
    with stack.used() as started:
        notify(f"using the embedded stack of {settings.home}" + (" (started for this command)" if started else ""))
        yield stack.settings(settings)
