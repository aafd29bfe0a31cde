"""How the records of a feed are added up: measure, dimensions, windows, and the PostgreSQL tables of the totals."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

from bytemeter.windows import BillingMonth, CalendarMonth, Window


@dataclass(frozen=True)
class Dimension:
    """By what a measure is added up: the values of one field, or of several fields together.

    Attributes:
        type: the name that the totals of this dimension carry in the column ``type`` of their table.
        fields: names of the feed's fields, all ``Text``. The id of a total is the value of the one field; the values of
            several fields are joined by ``/``, where ``%`` and ``/`` inside a value are written as ``%25`` and ``%2F``
            (RFC 3986, section 2.1), e.g. ``Charlie/CALL``. A record that lacks one of them (it is not required) is in
            no total of this dimension.
        measure: a field that is added up in place of the feed's measure, ``Whole`` or ``Number``; of a Number that is 0
            to 2^40 the thousandths are added up, as whole numbers: their sum is exact in any order. Records without
            such a value are in no total of this dimension.
        where: a ``Text`` field and the value that it has in all records of this dimension; None for all records.
    """

    type: str
    fields: tuple[str, ...]
    measure: str | None = None
    where: tuple[str, str] | None = None

    @property
    def all_fields(self) -> list[str]:
        """All fields of which the dimension's totals depend, beside the feed's measure."""
        names = [*self.fields, *([self.measure] if self.measure else [])]
        return [*names, self.where[0]] if self.where else names


@dataclass(frozen=True)
class TotalsTable:
    """A PostgreSQL table of totals. Its primary key are the constants, type, id and start.

    Attributes:
        name: the table's name.
        window: the window that each row covers.
        type, id, start, value: the names of the columns: text, text, timestamptz, and bigint or numeric.
        constants: further columns with the same text in each row of this feed, as (name, text).
    """

    name: str
    window: Window
    type: str = "type"
    id: str = "id"
    start: str = "timestamp"
    value: str = "value"
    constants: tuple[tuple[str, str], ...] = ()

    def month(self, year: int, month: int) -> tuple[dt.datetime, dt.datetime]:
        """The bounds of a calendar month of the table, [start, end) in UTC.

        Raises:
            TypeError: its windows are no months.
        """
        if not isinstance(self.window, CalendarMonth):
            raise TypeError(f"the rows of {self.name} are of {self.window}, expected calendar months")
        return self.window.bounds(year, month)

    def in_zone(self, zone: str) -> TotalsTable:
        """The table with months of the billing zone as months of this time zone."""
        return replace(self, window=BillingMonth(zone)) if isinstance(self.window, BillingMonth) else self


@dataclass(frozen=True)
class Quotas:
    """Users have hourly quotas: ``user_metadata.quota`` limits the totals of one dimension.

    Attributes:
        user_type: the type of the totals whose ids are those of ``user_metadata``.
        email_type: the type of the same totals by e-mail address, which recomputes add.
    """

    user_type: str
    email_type: str


@dataclass(frozen=True)
class Totals:
    """How a feed's records are added up by dimension and window.

    Attributes:
        measure: the field that is added up, ``Whole`` or ``Decimal`` and required; None to count records.
        dimensions: at least one.
        live: the table of the live query.
        hourly, monthly: tables of the recomputes; None if there is none.
        quotas: which totals have quotas; None if no total has.
    """

    measure: str | None
    dimensions: tuple[Dimension, ...]
    live: TotalsTable
    hourly: TotalsTable | None = None
    monthly: TotalsTable | None = None
    quotas: Quotas | None = None

    @property
    def fields(self) -> list[str]:
        """The measures and the fields of the dimensions, each once."""
        names = [self.measure] if self.measure else []
        names += [name for dimension in self.dimensions for name in dimension.all_fields]
        return list(dict.fromkeys(names))

    @property
    def types(self) -> list[str]:
        """The types of all dimensions."""
        return [dimension.type for dimension in self.dimensions]

    @property
    def all_types(self) -> list[str]:
        """The types of all dimensions, and the one that only recomputes add."""
        return [*self.types, *([self.quotas.email_type] if self.quotas else [])]

    def in_zone(self, zone: str) -> Totals:
        """The totals with months of the billing zone as months of this time zone."""
        monthly = self.monthly.in_zone(zone) if self.monthly else None
        return replace(self, live=self.live.in_zone(zone), monthly=monthly)
