"""A table of totals as SQLAlchemy sees it, for the statements of both layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from sqlalchemy import BigInteger, Column, ColumnElement, DateTime, MetaData, Numeric, Table, Text, and_, true

from bytemeter.feeds import Feed, TotalsTable


@dataclass(frozen=True)
class SqlTotals:
    """The SQL table behind a declared ``TotalsTable``.

    Attributes:
        declared: names of the table and of its columns.
        table: the same for SQLAlchemy.
    """

    declared: TotalsTable
    table: Table

    @staticmethod
    def of(feed: Feed, declared: TotalsTable) -> SqlTotals:
        """The table of a feed's totals."""
        columns: list[Column[Any]] = [Column(name, Text) for name, _ in declared.constants]
        columns += [
            Column(declared.type, Text),
            Column(declared.id, Text),
            Column(declared.start, DateTime(timezone=True)),
            Column(declared.value, value_type(feed)),
        ]
        return SqlTotals(declared, Table(declared.name, MetaData(), *columns))

    @property
    def type(self) -> Column[Any]:
        """The column with the type of the dimension."""
        return self.table.c[self.declared.type]

    @property
    def id(self) -> Column[Any]:
        """The column with the value of the dimension."""
        return self.table.c[self.declared.id]

    @property
    def start(self) -> Column[Any]:
        """The column with the start of the window."""
        return self.table.c[self.declared.start]

    @property
    def value(self) -> Column[Any]:
        """The column with the total."""
        return self.table.c[self.declared.value]

    @property
    def key(self) -> list[str]:
        """The names of the primary key's columns."""
        constants = [name for name, _ in self.declared.constants]
        return [*constants, self.declared.type, self.declared.start, self.declared.id]

    @property
    def of_feed(self) -> ColumnElement[bool]:
        """Whether a row is one of this feed's."""
        return and_(true(), *(self.table.c[name] == text for name, text in self.declared.constants))


def value_type(feed: Feed) -> BigInteger | Numeric[Any]:
    """The SQL type of a feed's totals: bigint, or numeric for decimals."""
    return Numeric() if pa.types.is_decimal(feed.total_type) else BigInteger()
