"""The login with which dashboards read: a member of ``bytemeter_reader``, which may read all and change nothing."""

from __future__ import annotations

import json
import platform
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from bytemeter.errors import BytemeterError
from bytemeter.postgres import one_line_errors

_STATEMENT_TIMEOUT = "60s"
_PREFIX = "dashboards_"


@dataclass(frozen=True)
class ReaderLogin:
    """The login of one Superset; many may read the same database, each from a home of its own.

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
            if not _role_exists(connection, "bytemeter_reader"):
                raise BytemeterError("the database has no role bytemeter_reader; run `bytemeter migrate`")
            self._drop_abandoned(connection)
            user, password = self._name(connection), secrets.token_urlsafe(16)
            try:
                self._write(connection, user, password)
            except ProgrammingError as error:
                raise BytemeterError(
                    f"the user {self.engine.url.username} may not create the login {user} for the dashboards: "
                    f"{str(error.orig).splitlines()[0]}; grant it CREATEROLE, or name a user that has it"
                ) from None
        return self.engine.url.set(username=user, password=password)

    def drop(self) -> None:
        """Remove the login, if there is one.

        Raises:
            BytemeterError: the database refused the engine's user.
            TransientError: PostgreSQL could not be reached.
        """
        with one_line_errors(self.engine.url), self.engine.begin() as connection:
            if (user := self._chosen(connection)) and _role_exists(connection, user):
                _drop(connection, user)

    @property
    def _file(self) -> Path:
        return self.folder / "login"

    @property
    def _comment(self) -> dict[str, str]:
        return {"superset": str(self.folder), "machine": platform.node()}

    def _chosen(self, connection: Connection) -> str | None:
        """The name of the login as it was chosen before; None if that belongs to another folder: ours is a copy."""
        if not self._file.exists():
            return None
        name = self._file.read_text()
        # Not compared by machine: a container has another name each time.
        owner = dict(_logins(connection)).get(name, self._comment)
        return name if owner.get("superset") == str(self.folder) else None

    def _name(self, connection: Connection) -> str:
        """The name of the login, chosen now if need be."""
        name = self._chosen(connection) or _PREFIX + secrets.token_hex(4)
        self._file.write_text(name)
        return name

    def _write(self, connection: Connection, user: str, password: str) -> None:
        if not _role_exists(connection, user):
            _execute(connection, "create role %I in role bytemeter_reader", user)
        _execute(connection, "comment on role %I is %L", user, json.dumps(self._comment))
        _execute(connection, "alter role %I login password %L", user, password)
        _execute(connection, "alter role %I set default_transaction_read_only = on", user)
        _execute(connection, "alter role %I set statement_timeout = %L", user, _STATEMENT_TIMEOUT)
        # Rows lie in the order of their windows: by index, a day is read faster than a scan reads a month.
        _execute(connection, "alter role %I set random_page_cost = 1.1", user)

    def _drop_abandoned(self, connection: Connection) -> None:
        """Drop the logins of homes of this machine that are gone, and the one that earlier versions shared."""
        for user, comment in _logins(connection):
            gone = comment.get("machine") == platform.node() and not Path(comment.get("superset", "")).exists()
            if gone or user == f"{_PREFIX}of_{self.engine.url.database}":
                _drop(connection, user)


def _logins(connection: Connection) -> list[tuple[str, dict[str, str]]]:
    """The logins of all Supersets by name, each with what its comment says."""
    roles = connection.execute(
        text("select rolname, shobj_description(oid, 'pg_authid') from pg_roles where starts_with(rolname, :prefix)"),
        {"prefix": _PREFIX},
    )
    return [(name, _parsed(comment)) for name, comment in roles]


def _parsed(comment: str | None) -> dict[str, str]:
    with suppress(ValueError):
        parsed = json.loads(comment or "")
        return parsed if isinstance(parsed, dict) else {}
    return {}


def _drop(connection: Connection, user: str) -> None:
    """Drop a login, unless another session does the same now, someone else made it, or something depends on it."""
    with suppress(DBAPIError), connection.begin_nested():
        _execute(connection, "drop role %I", user)


def _role_exists(connection: Connection, role: str) -> bool:
    return bool(connection.scalar(text("select count(*) from pg_roles where rolname = :role"), {"role": role}))


def _execute(connection: Connection, statement: str, *values: str) -> None:
    """Run a statement of a kind that takes no parameters; the server quotes the values into its text."""
    arguments = ", ".join(f":value_{n}" for n in range(len(values)))
    parameters = {f"value_{n}": value for n, value in enumerate(values)}
    quoted = connection.scalar(text(f"select format('{statement}', {arguments})"), parameters)
    connection.execute(text(str(quoted).replace(":", "\\:")))
