"""How signals end a command: in order at the first one, at once at the second one or when it takes too long.

Python runs signal handlers in the main thread only, which may be waiting inside a database driver. So the signals are
also read from a pipe (``signal.set_wakeup_fd``), by a thread that ends the process if the main thread does not.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

import psutil

# Ctrl-C; what service managers and containers send; a terminal that was closed.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Service managers and Kubernetes kill after 30 s.
GRACE_S = 25.0
_EXIT_CODE = 1


class Interrupted(KeyboardInterrupt):
    """SIGTERM or SIGHUP: it ends a command as Ctrl-C does."""


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it the first signal interrupts the main thread, unless ``stopped_by_signal`` was called.

    The process ends at once at the second signal, or if it still runs ``GRACE_S`` after the first one. A signal that
    the process was started to ignore, as by nohup, stays ignored. Outside of the main thread this does nothing.

    Raises:
        KeyboardInterrupt: a signal came.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in ENDING}
    read, write = os.pipe()
    os.set_blocking(write, False)
    before = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    # A test that runs a command in its own process ends it, and the guard with it, but not the process.
    threading.Thread(target=_guard, args=(read,), name="ending", daemon=True).start()
    _handle(_interrupt)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(write)
        for number, handler in handlers.items():
            signal.signal(number, handler)


def stopped_by_signal() -> threading.Event:
    """An event that the first signal sets, from now on, instead of interrupting the main thread."""
    stop = threading.Event()
    _handle(lambda *_: stop.set())
    return stop


def _handle(handler: signal._HANDLER) -> None:
    for number in ENDING:
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, handler)


def _interrupt(number: int, _: FrameType | None) -> None:
    raise KeyboardInterrupt if number == signal.SIGINT else Interrupted


def _guard(read: int) -> None:
    """End the process at the second signal, or some time after the first one; return when the pipe is closed."""
    numbers = _signals(read)
    if next(numbers, None) is None:
        os.close(read)
        return
    threading.Thread(target=_end_after_grace, args=(done := threading.Event(),), daemon=True).start()
    second = next(numbers, None)
    done.set()
    os.close(read)
    if second is not None:
        _end("was asked to end a second time")


def _signals(read: int) -> Iterator[int]:
    while byte := os.read(read, 1):
        if byte[0] in ENDING:
            yield byte[0]


def _end_after_grace(done: threading.Event) -> None:
    if not done.wait(GRACE_S):
        _end(f"did not end within {GRACE_S:.0f} s: a server does not answer")


def _end(reason: str) -> None:
    """End this process and the processes that it started, but for servers, which have sessions of their own."""
    with suppress(OSError):
        os.write(
            2, f"bytemeter: {reason}; ended at once, what was not committed is done again at the next start\n".encode()
        )
    session = os.getsid(0)
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(child.pid) == session:
                child.kill()
    os._exit(_EXIT_CODE)
