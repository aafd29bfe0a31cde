"""Messages as a machine writes them: the schema's fields in its order, nothing else, no escapes.

Such a message is proven well-formed by one regular expression, and it is cut into its fields at the quotes. Both are
done for all messages at once; that is what makes counting fast.
"""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql.types import ArrayType, StringType, StructField, StructType

from bytemeter.feeds.feed import Feed
from bytemeter.parsing.single import MOST_CHARACTERS

# A character that is neither a control, a quote nor a backslash, as bytes of UTF-8 (RFC 3629, section 4).
_CHARACTER = "|".join(
    (
        r"[\x20\x21\x23-\x5b\x5d-\x7f]",
        r"[\xc2-\xdf][\x80-\xbf]",
        r"\xe0[\xa0-\xbf][\x80-\xbf]",
        r"[\xe1-\xec\xee\xef][\x80-\xbf]{2}",
        r"\xed[\x80-\x9f][\x80-\xbf]",
        r"\xf0[\x90-\xbf][\x80-\xbf]{2}",
        r"[\xf1-\xf3][\x80-\xbf]{3}",
        r"\xf4[\x80-\x8f][\x80-\xbf]{2}",
    )
)
_TEXT = f'"(?:{_CHARACTER})+"'
# Of 18 digits at most, it is of 64 bits.
_NUMBER = "-?(?:0|[1-9][0-9]{0,17})"


def canonical(feed: Feed, values: pa.BinaryArray) -> pa.BooleanArray:
    """Which of the messages are canonical; of a feed with lists none is."""
    pattern = _pattern(feed.schema)
    if pattern is None:
        return pa.array(np.zeros(len(values), bool))
    # So short that no text in it can be too long.
    short = pc.less_equal(pc.binary_length(values), MOST_CHARACTERS)
    return pc.fill_null(pc.and_(short, pc.match_substring_regex(values, pattern)), False)


def canonical_fields(feed: Feed, values: pa.BinaryArray) -> pa.Table:
    """The fields of canonical messages, by the names of the schema; those not nullable have no null."""
    cut = pc.split_pattern(values, '"')
    pieces, at = cut.flatten(), cut.offsets.to_numpy()[:-1] + 1
    columns = {}
    for field in feed.schema:
        # A number is cut into its name and what follows, a text into its name, a colon, itself and what follows.
        text = isinstance(field.dataType, StringType)
        there = _named(pieces, at, field) if field.nullable else np.ones(len(values), bool)
        column = pieces.take(pa.array(at + (2 if text else 1), mask=~there)).cast(pa.string())
        columns[field.name] = column if text else pc.ascii_trim(column, ":, }").cast(pa.int64())
        at = at + (4 if text else 2) * there
    return pa.table(columns)


def _named(pieces: pa.BinaryArray, at: npt.NDArray[np.int32], field: StructField) -> npt.NDArray[np.bool_]:
    """Whether the piece at each place is the field's name."""
    # The last field may be missing from the last message.
    names = pieces.take(pa.array(np.minimum(at, len(pieces) - 1)))
    equal: npt.NDArray[np.bool_] = pc.equal(names, field.name.encode()).to_numpy(zero_copy_only=False)
    return equal


@cache
def _pattern(schema: StructType) -> str | None:
    if any(isinstance(field.dataType, ArrayType) for field in schema):
        return None
    members = ""
    for number, field in enumerate(schema):
        value = _TEXT if isinstance(field.dataType, StringType) else _NUMBER
        member = f'{", ?" if number else ""}"{re.escape(field.name)}": ?{value}'
        members += f"(?:{member})?" if field.nullable else member
    return f"^\\{{{members}\\}}$"
