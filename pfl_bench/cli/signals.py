"""Ctrl-C, SIGTERM and SIGHUP: how the program ends when it is told to.

While runs are computed, the first signal asks for checkpoints (``pfl_bench.engine.stop``). Where that takes too long,
or nothing is computed, it raises ``Stopped``; where that does not help either, the process ends there and then. Another
signal goes to the next of these steps at once, unless it follows within a second: then it is an echo, because shells
and clusters send several. Results survive each of them; a ledger can be left at any moment.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from pfl_bench.engine import stop

NUMBERS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
ECHO_SECONDS = 1.0
PATIENCE_SECONDS = 10.0
"""How long a step may take; clusters kill some thirty seconds after SIGTERM."""


class _Course:
    """How far the ending of this process has come."""

    def __init__(self) -> None:
        self.process = 0
        self.number: int | None = None  # of the first signal
        self.since = 0.0
        self.asked = self.raised = False
        self.lines: tuple[bytes, bytes] | None = None  # while runs are computed: on stopping, on leaving


_course = _Course()


def install() -> None:
    """Hear the signals from now on, for the whole program. One that is ignored, as under nohup, stays ignored."""
    _course.process = os.getpid()
    for number in NUMBERS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _hear)
    if hasattr(signal, "SIGALRM"):
        signal.signal(signal.SIGALRM, _hear)


def run_to_the_end(program: Callable[[], int]) -> NoReturn:
    """Run a program that hears the signals, from its imports to its exit status."""
    install()
    try:
        status = program()
    except KeyboardInterrupt as error:  # while the program is loaded
        status, line = ending(error)
        say(_bytes(line))
    ignore()
    sys.exit(status)


def ignore() -> None:
    """The exit status is known and the program ends: nothing more may turn it into another."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_REAL, 0)
    for number in NUMBERS:
        signal.signal(number, signal.SIG_IGN)


@contextmanager
def patiently(stopping: str, leaving: str) -> Iterator[None]:
    """Let the first signal ask for checkpoints. Says ``stopping`` then, ``leaving`` if the process must end at once."""
    _course.lines = _bytes(stopping), _bytes(leaving)
    try:
        yield
    finally:
        _course.lines = None
        stop.forget()


def _hear(number: int, _: FrameType | None) -> None:
    if os.getpid() != _course.process:  # a fork of the program: what ends others ends it
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
        return
    alarm = number == getattr(signal, "SIGALRM", None)
    now = time.monotonic()
    if _course.number is None:
        _course.number = number
    elif not alarm and now - _course.since < ECHO_SECONDS:
        return
    _course.since = now
    if hasattr(signal, "SIGALRM"):
        signal.setitimer(signal.ITIMER_REAL, PATIENCE_SECONDS)
    if _course.lines is not None and not _course.asked and not _course.raised:
        _course.asked = True
        say(_course.lines[0])
        stop.ask(_course.number)
    elif not _course.raised:
        _course.raised = True
        raise stop.Stopped(_course.number)
    else:
        say(_course.lines[1] if _course.lines is not None else b"")
        os._exit(128 + _course.number)


def named(interruption: KeyboardInterrupt) -> KeyboardInterrupt:
    """With the signal that it is about; libraries (Ray) raise one of their own instead of ours."""
    return interruption if _course.number is None else stop.Stopped(_course.number)


def ending(error: KeyboardInterrupt) -> tuple[int, str]:
    """Exit status and line of a program that was interrupted while nothing was computed."""
    interruption = named(error)
    return stop.exit_status(interruption), f"{stop.name_of(interruption)}; the same command starts again"


def _bytes(line: str) -> bytes:
    return f"{line}\n".encode(errors="backslashreplace")


def say(line: bytes) -> None:
    """To stderr, whatever state the program is in."""
    with suppress(OSError):  # without the buffers that the interrupted code may be using; the terminal may be gone
        os.write(2, line)
