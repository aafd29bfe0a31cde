"""What a feed is: everything the layers need to know about one kind of record, declared as data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.types import ArrayType, LongType, StringType, StructField, StructType

from bytemeter.errors import BytemeterError
from bytemeter.feeds.rules import Violated

WINDOW_S = 300
HOUR_S = 3_600
# A total in a bigint holds eight million records of the largest size; more than that in five minutes is no usage.
MOST_BYTES = 2**40
YEAR_2000_S = 946_684_800
YEAR_2200_S = 7_258_118_400

_TYPES = (LongType(), StringType(), ArrayType(LongType()))


@dataclass(frozen=True)
class Rule:
    """A reason for which a parsed record is invalid.

    Attributes:
        reason: short and the same for all such records, so that they can be counted and replayed by it.
        violated: given records as columns (the feed's fields and event_us: long, the event time in microseconds since
            1970), whether each violates it; a null counts as not violated.
    """

    reason: str
    violated: Violated


@dataclass(frozen=True)
class Dimension:
    """A field by whose values the measure is added up.

    Attributes:
        type: the name that the totals carry in their column ``type``.
        column: the field of the schema.
    """

    type: str
    column: str


@dataclass(frozen=True)
class Totals:
    """How a feed's records are added up by window.

    Attributes:
        measure: the field that is added up, a whole number.
        dimensions: by what it is added up.
        live_table, hourly_table, monthly_table: tables (type, id, timestamp, value) of the live windows and of what
            is recomputed.
    """

    measure: str
    dimensions: tuple[Dimension, ...]
    live_table: str
    hourly_table: str
    monthly_table: str

    @property
    def columns(self) -> list[str]:
        """The measure and what it is added up by."""
        return [self.measure, *(dimension.column for dimension in self.dimensions)]


@dataclass(frozen=True)
class Feed:
    """One Kafka topic and the meaning of its records.

    Attributes:
        name: the feed's name, in the ledger and on the command line.
        topic: the Kafka topic without the setting ``topic_prefix``.
        schema: the JSON fields (long, string or list of long); those not nullable are required.
        key: the field that is the Kafka key.
        event_us: given records as columns, the event time of each in microseconds since 1970 (UTC), null without one.
        event_id: the field that identifies a record, if there is one; where it is null no repeat can be told.
        rules: what makes a parsed record invalid, whenever it is looked at.
        assigned: fields that are given to a record on its way, so that repeats of it may differ in them.
        totals: how it is added up by window; None if it is not.
    """

    name: str
    topic: str
    schema: StructType
    key: str
    event_us: Callable[[pa.Table], pa.Array | pa.ChunkedArray]
    event_id: str | None
    rules: tuple[Rule, ...]
    assigned: tuple[str, ...] = ()
    totals: Totals | None = None

    @property
    def usage(self) -> Totals:
        """How the records are added up.

        Raises:
            BytemeterError: they are not.
        """
        if self.totals is None:
            raise BytemeterError(f"the feed {self.name} has no totals by window; choose one that has, e.g. devices")
        return self.totals

    @property
    def required(self) -> tuple[StructField, ...]:
        """The fields that every record must have."""
        return tuple(field for field in self.schema if not field.nullable)

    @property
    def texts(self) -> tuple[StructField, ...]:
        """The fields that hold text."""
        return tuple(field for field in self.schema if isinstance(field.dataType, StringType))

    @property
    def content(self) -> tuple[str, ...]:
        """The fields in which a repeat must be equal, or it is a conflict."""
        return tuple(name for name in self.schema.names if name not in (self.event_id, *self.assigned))

    def __post_init__(self) -> None:
        names = {field.name for field in self.schema}
        used = {self.key, *self.assigned} | ({self.event_id} - {None})
        if self.totals:
            used |= {self.totals.measure, *(d.column for d in self.totals.dimensions)}
        if not used <= names:
            raise ValueError(f"feed {self.name} uses {sorted(map(str, used - names))}, its schema has {sorted(names)}")
        if any(field.dataType not in _TYPES for field in self.schema):
            raise ValueError(f"feed {self.name} has a field that is none of {_TYPES}: {self.schema}")
