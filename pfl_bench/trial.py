"""Trying something out in a fork of this process, to see that it returns at all and leaves the process usable."""

import faulthandler
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress

from .errors import RequestError, one_line

MOST_BYTES = 4096


def complaint(work: Callable[[], object], seconds: float) -> str:
    """What is wrong with work that was to return within so many seconds; "" if nothing, or where nothing forks.

    It may not end the process, close standard output, take over Ctrl-C, set an alarm or leave threads. The text of a
    RequestError is told as it is; what is printed is not shown.
    """
    if not hasattr(os, "fork"):
        return ""
    ours, theirs = map(_above_the_streams, os.pipe())
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    with warnings.catch_warnings():  # Python warns of threads, whose locks the fork would never see opened
        warnings.simplefilter("ignore")
        process = os.fork()
    if process == 0:
        _try(work, theirs)
    os.close(theirs)
    try:
        said = _read(ours, time.monotonic() + seconds)
    finally:
        os.close(ours)
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
    if said is None:
        return f"does not return within {seconds:.0f} seconds"
    if said:
        return said.removeprefix("+")
    code = os.waitstatus_to_exitcode(status)
    return f"ends the process with exit status {code}" if code >= 0 else f"ends the process by signal {-code}"


def _above_the_streams(descriptor: int) -> int:
    """The same under a number above 2: where a standard stream is closed, its number is given to the next file."""
    if descriptor > 2:
        return descriptor
    import fcntl

    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD, 3)
    os.close(descriptor)
    return moved


def _read(pipe: int, until: float) -> str | None:
    """What comes through a pipe until it is closed, or until a text that is whole ("+" first, a line's end last)."""
    found = b""
    while len(found) < MOST_BYTES and not found.endswith(b"\n"):
        ready, _, _ = select.select([pipe], [], [], max(0.0, until - time.monotonic()))
        if not ready:
            return None
        more = os.read(pipe, MOST_BYTES)
        if not more:
            break
        found += more
    return found.decode(errors="replace").strip()


def _try(work: Callable[[], object], pipe: int) -> None:
    """In the fork. Never returns."""
    said = "+"
    try:
        faulthandler.disable()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)
        before = _usable()
        work()
        said += ", ".join(what for what, now in _usable().items() if now != before[what])
    except BaseException as error:
        said += str(error) if isinstance(error, RequestError) else f"raises {one_line(error)}"
    finally:
        with suppress(BaseException):
            os.write(pipe, " ".join(said.split())[:MOST_BYTES].encode(errors="replace")[: MOST_BYTES - 1] + b"\n")
        os._exit(0)


def _usable() -> dict[str, object]:
    """What must stay as it is, under words for what it means that it did not."""
    opened = []
    for stream in (1, 2):
        with suppress(OSError):
            opened.append(os.fstat(stream).st_dev)
    timers = signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF
    return {
        "closes or replaces standard output": (opened, getattr(sys.stdout, "closed", None), id(sys.stdout)),
        "takes over the signals that stop the program": [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)],
        "sets an alarm": [signal.getitimer(timer)[0] > 0 for timer in timers],
        "leaves a thread running": {thread.ident for thread in threading.enumerate()},
    }
