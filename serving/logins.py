"""Which login belongs to which Superset: many may read the same database, each from a home of its own."""

from __future__ import annotations

import json
import platform
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError

from bytemeter.postgres import one_line_errors
from serving.reader import execute, reader_login

_PREFIX = "dashboards_"


@dataclass(frozen=True)
class SupersetLogin:
    """The login of one Superset.

    The role's comment says to which Superset it belongs. A login is renewed and dropped by its own Superset only, or
    dropped by any other of the same machine once the folder of its Superset is gone.

    Attributes:
        engine: the database, as a user who may create roles.
        folder: of the Superset; its file ``login`` holds the name of the login.
    """

    engine: Engine
    folder: Path

    def renew(self) -> URL:
        """The database's URL with this login; its password is a new one each time.

        Raises:
            BytemeterError: the roles are missing, or the engine's user may not create one.
            TransientError: PostgreSQL could not be reached.
        """
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            self._drop_abandoned(connection)
            name = self._chosen(connection) or _PREFIX + secrets.token_hex(4)
        (self.folder / "login").write_text(name)
        login = reader_login(self.engine, name)
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            execute(connection, "comment on role %I is %L", name, json.dumps(self._comment))
        return login

    def drop(self) -> None:
        """Remove the login, if there is one.

        Raises:
            BytemeterError: the database refused the engine's user.
            TransientError: PostgreSQL could not be reached.
        """
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            name = self._chosen(connection)
            if name in _logins(connection):
                _drop(connection, name)

    @property
    def _comment(self) -> dict[str, str]:
        return {"superset": str(self.folder), "machine": platform.node()}

    def _chosen(self, connection: Connection) -> str | None:
        """The name of the login as it was chosen before; None if that belongs to another folder: ours is a copy."""
        chosen = self.folder / "login"
        if not chosen.exists():
            return None
        name = chosen.read_text()
        # Not compared by machine: a container has another name each time.
        owner = _logins(connection).get(name, self._comment)
        return name if owner.get("superset", str(self.folder)) == str(self.folder) else None

    def _drop_abandoned(self, connection: Connection) -> None:
        """Drop the logins of homes of this machine that are gone, and the one that earlier versions shared."""
        for name, owner in _logins(connection).items():
            gone = owner.get("machine") == platform.node() and not Path(owner.get("superset", "")).exists()
            if gone or name == f"{_PREFIX}of_{self.engine.url.database}":
                _drop(connection, name)


def _logins(connection: Connection) -> dict[str, dict[str, str]]:
    """What the comment of each login of a Superset says, by its name."""
    roles = connection.execute(
        text("select rolname, shobj_description(oid, 'pg_authid') from pg_roles where starts_with(rolname, :prefix)"),
        {"prefix": _PREFIX},
    )
    return {name: _parsed(comment) for name, comment in roles}


def _parsed(comment: str | None) -> dict[str, str]:
    with suppress(ValueError):
        parsed = json.loads(comment or "")
        return parsed if isinstance(parsed, dict) else {}
    return {}


def _drop(connection: Connection, name: str) -> None:
    """Drop a login, unless another session does the same now, someone else made it, or something depends on it."""
    with suppress(DBAPIError), connection.begin_nested():
        execute(connection, "drop role %I", name)
