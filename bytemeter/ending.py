"""The signals that end a command: the first one ends its work, and none its clean-up, unless a server does not answer.

Ctrl-C, SIGTERM (systemd, containers) and SIGHUP (a closed terminal) mean the same. Python runs signal handlers in the
main thread only, which may be waiting inside a database driver. So the signals are also written to a pipe
(``signal.set_wakeup_fd``), from which a thread reads them: it wakes the main thread, should it have begun to wait just
then, and ends a process that does not end by itself.
"""

from __future__ import annotations

import _thread
import os
import signal
import stat
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType, TracebackType
from typing import Any, ClassVar

import psutil

from bytemeter.errors import BytemeterError

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Service managers and Kubernetes kill after 30 s.
GRACE_S = 20.0
_UNHANDLED_S = 0.1
_TERMINAL = (1, 2)


class Interrupted(KeyboardInterrupt):
    """A signal asked the command to end; the message is the name of the signal."""


class EndingSignals:
    """While entered, the first ending signal raises ``Interrupted`` in the main thread, and sets ``stop`` soon.

    All further ones are ignored, so that the clean-up is never interrupted. In a block of ``deferred`` (or of
    ``uninterrupted``) nothing is raised, and whoever works there watches ``stop``. What has ended a block has ended the
    blocks around it, too, and is not raised in them. A process that has not left the outermost block ``GRACE_S`` after
    the first signal is ended at once, with the processes that it started: what it had not committed is done again at
    the next start.

    Attributes:
        stop: set after the first signal, by another thread: a handler must not wait for the lock of an event.
        name: of the first signal; empty before.
    """

    entered: ClassVar[EndingSignals | None] = None
    handled: ClassVar[bool] = False

    def __init__(self) -> None:
        self.stop = threading.Event()
        self.name = ""
        self._deferred = 0
        self._before: dict[signal.Signals, Any] = {}
        self._outer: EndingSignals | None = None
        self._guard: _Guard | None = None

    def __enter__(self) -> EndingSignals:
        for ending in ENDING:
            before = signal.getsignal(ending)
            # A command started by nohup is to outlive its terminal.
            if not (ending == signal.SIGHUP and before == signal.SIG_IGN):
                self._before[ending] = before
                signal.signal(ending, self._handle)
        self._outer, EndingSignals.entered = EndingSignals.entered, self
        self._guard = None if self._outer else _Guard()
        self._unraisable = sys.unraisablehook
        if not self._outer:
            sys.unraisablehook = partial(_tell_unless_interrupted, self._unraisable)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        EndingSignals.entered = self._outer
        if self._outer and self.name:
            self._outer.name = self._outer.name or self.name
            self._outer.stop.set()
        for ending, before in self._before.items():
            signal.signal(ending, before)
        if self._guard:
            self._guard.close()
            sys.unraisablehook = self._unraisable

    @contextmanager
    def deferred(self) -> Iterator[threading.Event]:
        """In this block signals only set ``stop``, which it yields."""
        self._deferred += 1
        try:
            yield self.stop
        finally:
            self._deferred -= 1

    def _handle(self, number: int, _: FrameType | None) -> None:
        EndingSignals.handled = True
        if number == signal.SIGHUP:
            _leave_terminal()
        if self.name:
            return
        self.name = signal.Signals(number).name
        # What this handler interrupts may hold the lock of the event. A process that is ending may start no thread.
        with suppress(RuntimeError):
            _thread.start_new_thread(self.stop.set, ())
        if not self._deferred:
            raise Interrupted(self.name)


def ignore_late_signals() -> None:
    """Let an ending signal change nothing any more, not even when Python has put its handlers away."""
    for ending in ENDING:
        signal.signal(ending, signal.SIG_IGN)


def ended_by() -> str:
    """The signal that has asked this process to end; empty if none has.

    What a signal handler raises is lost if it interrupts code whose errors nobody gets, such as a finalizer, or a
    callback of the import system. So work that lasts asks here, too, before it begins.
    """
    return EndingSignals.entered.name if EndingSignals.entered else ""


@contextmanager
def uninterrupted() -> Iterator[None]:
    """A block of the main thread that no ending signal interrupts, such as a clean-up."""
    entered = EndingSignals.entered
    if entered is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    with entered.deferred():
        yield


@contextmanager
def interruptible() -> Iterator[EndingSignals]:
    """The whole of a command that has to finish its work: a signal ends it with an error.

    In another thread than the main one, to which no signals come, it does nothing.

    Raises:
        BytemeterError: a signal ended it; the clean-up of the block is done.
    """
    if threading.current_thread() is not threading.main_thread():
        yield EndingSignals()
        return
    with EndingSignals() as signals:
        try:
            yield signals
        except Interrupted:
            raise BytemeterError(f"ended by {signals.name} before it was done; run it again") from None


@contextmanager
def until_signal() -> Iterator[EndingSignals]:
    """The whole of a command that runs until a signal: the signal ends it, whatever it does, without an error."""
    with EndingSignals() as signals, suppress(Interrupted):
        yield signals


def _tell_unless_interrupted(tell: Callable[[sys.UnraisableHookArgs], object], lost: sys.UnraisableHookArgs) -> None:
    """Tell of an error that nobody gets, but for the one of a signal: that is known by its name, see ``ended_by``."""
    if not isinstance(lost.exc_value, Interrupted):
        tell(lost)


class _Guard:
    """Ends the process ``GRACE_S`` after the first ending signal, unless it is closed before.

    A signal that comes just before the main thread begins to wait does not wake it: this sends it again.
    """

    def __init__(self) -> None:
        EndingSignals.handled = False
        self._closed = threading.Event()
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)
        self._before = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        threading.Thread(target=self._wait, name="ending", daemon=True).start()

    def close(self) -> None:
        """Let the process live."""
        self._closed.set()
        signal.set_wakeup_fd(self._before)
        os.close(self._write)

    def _wait(self) -> None:
        numbers = iter(lambda: os.read(self._read, 1), b"")
        if ending := next((number[0] for number in numbers if number[0] in ENDING), None):
            end = time.monotonic() + GRACE_S
            while not EndingSignals.handled and time.monotonic() < end and not self._closed.wait(_UNHANDLED_S):
                signal.pthread_kill(threading.main_thread().ident or 0, ending)
            if not self._closed.wait(end - time.monotonic()):
                _end_at_once()
        os.close(self._read)


def _end_at_once() -> None:
    """End this process and the processes that it started, but for servers, which have sessions of their own."""
    line = f"ended at once: a server did not answer within {GRACE_S:.0f} s; what was not committed is done again"
    with suppress(OSError):
        os.write(_TERMINAL[1], f"bytemeter: {line}\n".encode())
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(child.pid) == os.getsid(0):
                child.kill()
    os._exit(1)


def _leave_terminal() -> None:
    """Write to nowhere instead of a terminal that is gone: that would be an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in _TERMINAL:
        # One that the caller has closed is no terminal, either.
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.dup2(nowhere, descriptor)
    os.close(nowhere)
