"""What the hourly and the monthly job have in common: the option --wait, and the lines that ``--dry-run`` prints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal

import click

WAIT = click.Option(
    ["--wait", "wait_s"],
    type=click.FloatRange(min=0),
    default=300.0,
    help="seconds to wait for the history to hold what was counted",
)

# The key of the total, e.g. "2026-11-21T10 app_bytes_total MAPS", and the total before and after.
Total = int | Decimal | None
ShownDifference = tuple[str, Total, Total]


def difference_lines(differences: Sequence[ShownDifference], count: int) -> Iterator[str]:
    """A line for each difference, and one that says how many more of the ``count`` differences there are."""
    for what, before, after in differences:
        yield f"{what}: {before} -> {after}"
    if count > len(differences):
        yield f"... and {count - len(differences)} more"
