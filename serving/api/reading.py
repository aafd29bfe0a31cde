"""What a question to PostgreSQL reads by: one statement, which sees one moment by itself, or several in a transaction.

Each round trip to the server is a wait for a processor there and here. So a question is first asked without a
transaction around it, and begins anew in one as soon as it has a second statement.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Row, ScalarResult
from sqlalchemy.dialects import postgresql
from sqlalchemy.sql import ClauseElement

_COMMENT = re.compile(r"^\s*--.*$", re.MULTILINE)
_DIALECT = postgresql.dialect(paramstyle="numeric_dollar")  # type: ignore[no-untyped-call]
Values = Mapping[str, Any]


class SeveralStatementsError(Exception):
    """A question has more than one statement, and needs a transaction."""


@dataclass(frozen=True)
class Prepared:
    """A statement that each connection plans once.

    Attributes:
        name: unique among those of a server.
    """

    name: str
    statement: ClauseElement

    @cached_property
    def text(self) -> str:
        """The command that prepares it, as the driver takes it."""
        statement = _COMMENT.sub("", str(self._compiled)).strip().replace("%", "%%")
        return f"prepare {self.name} as {statement}"

    @cached_property
    def _compiled(self) -> Any:
        return self.statement.compile(dialect=_DIALECT)

    @cached_property
    def execution(self) -> str:
        """The command that executes it."""
        return f"execute {self.name} ({', '.join(['%s'] * len(self._compiled.positiontup))})"

    def arguments(self, values: Values) -> tuple[Any, ...]:
        """The values of its parameters, in order."""
        given = {**self._compiled.params, **values}
        return tuple(given[name] for name in self._compiled.positiontup)


class Reading:
    """Statements of one moment.

    Attributes:
        transaction: whether they run in one transaction; without it there is but one statement.
    """

    def __init__(self, connection: Connection, *, transaction: bool) -> None:
        self._connection, self.transaction, self._used = connection, transaction, False

    def several(self) -> None:
        """Say that more than one statement will follow, where that is known before the first one.

        Raises:
            SeveralStatementsError: without a transaction; the question is asked again in one.
        """
        if not self.transaction:
            raise SeveralStatementsError

    def execute(self, statement: Executable, values: Values | None = None) -> CursorResult[Any]:
        """Run a statement.

        Raises:
            SeveralStatementsError: see ``several``.
        """
        self._count()
        return self._connection.execute(statement, values)

    def scalars(self, statement: Executable, values: Values | None = None) -> ScalarResult[Any]:
        """Run a statement with one column.

        Raises:
            SeveralStatementsError: see ``several``.
        """
        return self.execute(statement, values).scalars()

    def rows(self, prepared: Prepared, values: Values) -> Sequence[Row[Any]]:
        """The rows of a prepared statement.

        Raises:
            SeveralStatementsError: see ``several``.
        """
        self._count()
        known = self._connection.info.setdefault("prepared", set())
        if prepared.name not in known:
            self._connection.exec_driver_sql(prepared.text)
            known.add(prepared.name)
        return self._connection.exec_driver_sql(prepared.execution, prepared.arguments(values)).all()

    def _count(self) -> None:
        if self._used:
            self.several()
        self._used = True
