"""Structured logs on standard error: one line per event, as text or as JSON."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import TextIO, cast

import structlog

Logger = structlog.typing.FilteringBoundLogger


class _Forgiving(io.TextIOBase):
    """Standard error, which may be gone: a terminal that was closed must not end what is logged."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._stream.write(text)
        return 0

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._stream.flush()


def configure(log_format: str = "console", *, quiet: bool = False) -> None:
    """Set up the logs of this process.

    Args:
        log_format: ``json``, or anything else for text.
        quiet: log warnings and errors only.
    """
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), pad_event_to=0)
    )
    # Libraries raise what matters; their own logs, such as those of py4j when its JVM has gone, are not for users.
    logging.getLogger().addHandler(logging.NullHandler())
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING if quiet else logging.INFO),
        # Looked up for each line, since sys.stderr may be replaced after this call, as pytest does.
        # Each line is one write: the lines of two threads would mix otherwise.
        logger_factory=lambda *_: structlog.WriteLogger(cast(TextIO, _Forgiving(sys.stderr))),
        cache_logger_on_first_use=False,
    )


def logger() -> Logger:
    """The logger of this process."""
    bound: Logger = structlog.get_logger()
    return bound
