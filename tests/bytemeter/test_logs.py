"""Log lines of several threads do not run into each other."""

from __future__ import annotations

import io
import sys

import pytest

from bytemeter.logs import logger


class Written(io.StringIO):
    """A standard error that other threads may write to between two calls."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def write(self, text: str) -> int:
        self.pieces.append(text)
        return len(text)


def test_a_line_is_written_at_once_with_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    written = Written()
    monkeypatch.setattr(sys, "stderr", written)
    logger().info("counted", records=5)
    (line,) = written.pieces
    assert line.endswith("records=5\n")
