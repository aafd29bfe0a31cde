"""What a feed is: everything the layers need to know about one kind of record, declared as data."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql.types import LongType, StringType, StructField, StructType

WINDOW_S = 300
HOUR_S = 3_600


@dataclass(frozen=True)
class Rule:
    """A reason for which a parsed record is invalid.

    Attributes:
        reason: short and the same for all such records, so that they can be counted and replayed by it.
        violated: SQL predicate over the columns of the feed's schema; a null counts as not violated.
    """

    reason: str
    violated: str


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
class Feed:
    """One Kafka topic and the meaning of its records.

    Attributes:
        name: the feed's name, in the ledger and on the command line.
        topic: the Kafka topic without the setting ``topic_prefix``.
        schema: the JSON fields (long or string); those not nullable are required.
        key: the field that is the Kafka key.
        epoch_seconds: SQL expression of the event time in whole seconds since 1970 (UTC).
        event_id: the field that identifies a record, if there is one; where it is null no repeat can be told.
        measure: the field that is added up, a whole number.
        dimensions: by what it is added up.
        rules: what makes a parsed record invalid, whenever it is looked at.
        live_table, batch_table: tables (type, id, timestamp, value) of the live windows and of the recomputed hours.
    """

    name: str
    topic: str
    schema: StructType
    key: str
    epoch_seconds: str
    event_id: str | None
    measure: str
    dimensions: tuple[Dimension, ...]
    rules: tuple[Rule, ...]
    live_table: str
    batch_table: str

    @property
    def required(self) -> tuple[StructField, ...]:
        """The fields that every record must have."""
        return tuple(field for field in self.schema if not field.nullable)

    @property
    def texts(self) -> tuple[StructField, ...]:
        """The fields that hold text."""
        return tuple(field for field in self.schema if isinstance(field.dataType, StringType))

    def __post_init__(self) -> None:
        names = {field.name for field in self.schema}
        used = {self.key, self.measure, *(d.column for d in self.dimensions)} | ({self.event_id} - {None})
        if not used <= names:
            raise ValueError(f"feed {self.name} uses {sorted(map(str, used - names))}, its schema has {sorted(names)}")
        if any(not isinstance(field.dataType, LongType | StringType) for field in self.schema):
            raise ValueError(f"feed {self.name} has a field that is neither long nor string: {self.schema}")
