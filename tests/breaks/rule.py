"""A rule of the code, and how it is broken."""

from __future__ import annotations

from typing import NamedTuple


class Break(NamedTuple):
    """A rule, and how it is broken.

    Attributes:
        rule: as docs/reliability.md says it.
        file: that is changed.
        old, new: what is replaced, by what.
        test: that fails then: a file, and the test's name.
        servers: whether the test starts servers or Spark.
    """

    rule: str
    file: str
    old: str
    new: str
    test: str
    servers: bool = True
