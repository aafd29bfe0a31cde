"""Wrong rules, each of which a test must see: docs/reliability.md has them in words.

A break replaces a text that a file has once, in a copy of the code. ``tests/test_breaks.py`` makes it and runs the test.
"""

from __future__ import annotations

from tests.breaks import counting, processes, routing, telemetry
from tests.breaks.rule import Break

BREAKS: tuple[Break, ...] = (*counting.BREAKS, *telemetry.BREAKS, *routing.BREAKS, *processes.BREAKS)
