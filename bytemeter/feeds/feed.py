"""What a feed is: all that the layers need to know about one kind of record, declared as data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa
from pyspark.sql.types import StructField, StructType

from bytemeter.feeds.fields import Decimal, Field, Number, Text, Whole
from bytemeter.feeds.rules import Violated
from bytemeter.feeds.totals import Dimension, Totals

# A total in a bigint holds eight million records of the largest size; more than that in five minutes is no usage.
MOST_BYTES = 2**40
YEAR_2000_S = 946_684_800
YEAR_2200_S = 7_258_118_400

# Columns that parsing, counting and the history add to those of the feed.
RESERVED = frozenset(
    {
        *("partition", "offset", "value", "reason", "event_us", "received_us", "raw"),
        *("event_time", "event_date", "event_hour", "window_s"),
        *("record_offset", "id_hash", "content_hash"),
    }
)
RAW = Field("raw", Text())
_A_DAY_S = 86_400

# Given records as columns, for each the reason why it is invalid, or null.
Validator = Callable[[pa.Table], pa.Array | pa.ChunkedArray]


@dataclass(frozen=True)
class Rule:
    """A reason for which a parsed record is invalid.

    Attributes:
        reason: short and the same for all such records, so that they can be counted and replayed by it.
        violated: given records as columns (the feed's fields and event_us: long, the event time in microseconds since
            1970), whether each violates the rule; null counts as not violated.
    """

    reason: str
    violated: Violated


@dataclass(frozen=True)
class Kinds:
    """Records of one feed that are of several kinds, each with a validator of its own, e.g. a JSON schema.

    Attributes:
        by: the field that names a record's kind.
        validators: by kind. A validator gets all records of its kind as columns: the feed's fields, event_us and
            value: binary, the message as received. A kind without validator is valid as far as the rules say.
        columns: which columns validators get, since choosing the rows of a kind costs time for each column; None for
            all.
    """

    by: str
    validators: Mapping[str, Validator] = field(repr=False)
    columns: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Feed:
    """One Kafka topic and the meaning of its records.

    Attributes:
        name: the feed's name, in the ledger and on the command line.
        topic: the Kafka topic without the setting ``topic_prefix``.
        fields: the fields that are picked from each message.
        key: the field that is the Kafka key; None if messages have no key.
        key_else: the field that is the key of a record that lacks it; None for no key then.
        event_us: given records as columns, the event time of each in microseconds since 1970 (UTC), null without one.
            Beside the fields there is received_us: long, when Kafka received the message, null where that is unknown.
        event_id: the field that identifies a record, if there is one; a record without it is never a duplicate.
        rules: what makes a parsed record invalid, whenever it is judged.
        live_query: the name of the live query that counts the feed (see ``speed_layer.live_queries``).
        clock_tolerance_s: the live query refuses event times that lie further ahead of the clock, in seconds; None to
            accept any. The default is a day.
        horizon_s: the live query deduplicates records of event hours up to so many seconds behind the watermark. Older
            records count in any case, and the recompute removes duplicates. None for the setting
            ``identity_horizon_s``.
        assigned: fields that are given to a record on its way: duplicates may differ in them without a conflict.
        keeps_raw: whether the history keeps the message as received, in its column ``raw``.
        kinds: kinds of records with validators of their own; None if all records are of one kind.
        derived: whether only live queries write the topic: clients may not send such records.
        totals: how the records are added up by window; None if they are not.
        without_id: given records as columns, which of them have no event id, whatever their field says: it becomes
            null. None if all that have the field have an event id.
        read_as: what is parsed in place of messages, one for each; None to parse the messages. The value as received
            stays that of the message.
    """

    name: str
    topic: str
    fields: tuple[Field, ...]
    key: str | None
    event_us: Callable[[pa.Table], pa.Array | pa.ChunkedArray]
    event_id: str | None
    rules: tuple[Rule, ...]
    live_query: str
    clock_tolerance_s: int | None = _A_DAY_S
    key_else: str | None = None
    horizon_s: int | None = None
    assigned: tuple[str, ...] = ()
    keeps_raw: bool = False
    kinds: Kinds | None = None
    totals: Totals | None = None
    without_id: Violated | None = None
    read_as: Callable[[pa.BinaryArray], pa.BinaryArray] | None = None
    derived: bool = False

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        return [field.name for field in self.fields]

    @property
    def kept_fields(self) -> tuple[Field, ...]:
        """The fields that the history keeps of a record."""
        return (*self.fields, RAW) if self.keeps_raw else self.fields

    @cached_property
    def schema(self) -> StructType:
        """The fields as columns of Spark; those not required are nullable."""
        return StructType([StructField(field.name, field.type.spark, not field.required) for field in self.fields])

    @property
    def content(self) -> tuple[str, ...]:
        """The fields in which a duplicate must equal the record that was counted, or it is a conflict."""
        return tuple(name for name in self.names if name not in (self.event_id, *self.assigned))

    @property
    def clock_reason(self) -> str:
        """The reason of records that the live query refuses because their event time is ahead of the clock."""
        tolerance = self.clock_tolerance_s or 0
        return f"timestamp over {'a day' if tolerance == _A_DAY_S else f'{tolerance} s'} in the future"

    @property
    def total_type(self) -> pa.DataType:
        """The type of the feed's totals: int64 of whole numbers and counts, decimal128(38, scale) of decimals."""
        measure = next((field.type for field in self.fields if self.totals and field.name == self.totals.measure), None)
        return pa.decimal128(38, measure.scale) if isinstance(measure, Decimal) else pa.int64()

    def in_zone(self, zone: str) -> Feed:
        """The feed with months of the billing zone as months of this time zone (IANA)."""
        return replace(self, totals=self.totals.in_zone(zone)) if self.totals else self

    def __post_init__(self) -> None:
        self._require(len(set(self.names)) == len(self.names), f"declares a field twice: {self.names}")
        paths = [field.path for field in self.fields]
        nested = [
            field.name for field in self.fields if any(field.path[:n] in paths for n in range(1, len(field.path)))
        ]
        self._require(len(set(paths)) == len(paths), "has two fields with the same path")
        self._require(not nested, f"has the fields {nested} inside other fields")
        reserved = sorted(RESERVED.intersection(self.names))
        self._require(not reserved, f"has the fields {reserved}, which are reserved; give them other names and a path")
        by = self.kinds.by if self.kinds else None
        self._require_fields(
            {name for name in (self.key, self.key_else, self.event_id, by, *self.assigned) if name is not None}
        )
        self._require(
            self.horizon_s is None or self.event_id is not None, "has a horizon, which only feeds with an event id have"
        )
        optional = {field.name for field in self.fields if not field.required}
        self._require(
            self.without_id is None or self.event_id in optional, "takes event ids away that are not an optional field"
        )
        if self.totals:
            self._check(self.totals)

    def _check(self, totals: Totals) -> None:
        self._require_fields({*totals.fields})
        fields = {field.name: field for field in self.fields}
        measure = fields[totals.measure] if totals.measure else None
        self._require(
            measure is None or (measure.required and isinstance(measure.type, Whole | Decimal)),
            f"adds up {totals.measure}, which is not a required Whole or Decimal",
        )
        for dimension in totals.dimensions:
            self._check_dimension(dimension, fields)
        self._require(
            len(set(totals.types)) == len(totals.types) > 0, f"has no dimension, or one twice: {totals.types}"
        )

    def _check_dimension(self, dimension: Dimension, fields: Mapping[str, Field]) -> None:
        for name in dimension.fields:
            is_text = isinstance(fields[name].type, Text)
            self._require(is_text, f"adds up by {name} ({dimension.type}), which is not a Text")
        by = f"({dimension.type})"
        if dimension.where:
            name, _ = dimension.where
            self._require(isinstance(fields[name].type, Text), f"chooses by {name} {by}, which is no Text")
        if dimension.measure:
            adds_up = isinstance(fields[dimension.measure].type, Whole | Number) and pa.types.is_int64(self.total_type)
            complaint = f"adds up {dimension.measure} {by}, which is not a Whole or Number beside whole totals"
            self._require(adds_up, complaint)

    def _require_fields(self, names: set[str]) -> None:
        unknown = sorted(names.difference(self.names))
        self._require(not unknown, f"uses the fields {unknown}, it has {self.names}")

    def _require(self, holds: bool, complaint: str) -> None:
        if not holds:
            raise ValueError(f"feed {self.name} {complaint}")
