"""The fields of a feed: what a JSON value must be, where it stands in the message, and the column that holds it."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql.types import ArrayType, DataType, DoubleType, LongType, StringType
from pyspark.sql.types import DecimalType as SparkDecimalType


@dataclass(frozen=True)
class Text:
    """A JSON string of 1 to ``max_length`` characters, without NUL and without half a surrogate pair.

    Attributes:
        max_length: at most so many characters.
        empty_is_null: an empty string stands for a missing one, instead of being a fault.
    """

    max_length: int = 512
    empty_is_null: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """The type of the column that executors make."""
        return pa.string()

    @property
    def spark(self) -> DataType:
        """The type of the column in the history."""
        return StringType()


@dataclass(frozen=True)
class Whole:
    """A JSON number without fraction and exponent, of 64 bits."""

    @property
    def arrow(self) -> pa.DataType:
        """See ``Text.arrow``."""
        return pa.int64()

    @property
    def spark(self) -> DataType:
        """See ``Text.spark``."""
        return LongType()


@dataclass(frozen=True)
class WholeList:
    """A JSON array of whole numbers (see ``Whole``) and nulls."""

    @property
    def arrow(self) -> pa.DataType:
        """See ``Text.arrow``."""
        return pa.list_(pa.int64())

    @property
    def spark(self) -> DataType:
        """See ``Text.spark``."""
        return ArrayType(LongType())


@dataclass(frozen=True)
class Decimal:
    """An exact decimal number, as a JSON string or a JSON number without exponent; it never becomes a float.

    Attributes:
        digits: at most so many digits before the point.
        scale: at most so many digits after the point.
    """

    digits: int = 15
    scale: int = 6

    @property
    def arrow(self) -> pa.DataType:
        """See ``Text.arrow``."""
        return pa.decimal128(self.digits + self.scale, self.scale)

    @property
    def spark(self) -> DataType:
        """See ``Text.spark``."""
        return SparkDecimalType(self.digits + self.scale, self.scale)


@dataclass(frozen=True)
class Number:
    """A JSON number, with or without fraction and exponent, as the nearest double; one beyond all doubles is a fault.

    Attributes:
        others_are_null: a value that is no such number stands for a missing one, instead of being a fault.
    """

    others_are_null: bool = False

    @property
    def arrow(self) -> pa.DataType:
        """See ``Text.arrow``."""
        return pa.float64()

    @property
    def spark(self) -> DataType:
        """See ``Text.spark``."""
        return DoubleType()


FieldType = Text | Whole | WholeList | Decimal | Number


@dataclass(frozen=True)
class Field:
    """One field of a feed.

    Attributes:
        name: the name of its column.
        type: what its JSON value must be.
        required: whether a record without it, or with null, is invalid.
        path: the members that lead to the value in the message; by default the one member ``name``.
    """

    name: str
    type: FieldType
    required: bool = True
    path: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.path:
            object.__setattr__(self, "path", (self.name,))
