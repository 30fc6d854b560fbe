"""Seconds that a run has had. Where several share a process by turns, another's turn is none of its time."""

import threading
import time

_away = threading.local()


def now() -> float:
    """A time on the run's own clock, in seconds; only differences mean something."""
    found: float = time.perf_counter() - getattr(_away, "seconds", 0.0)
    return found


def leave_out(seconds: float) -> None:
    """So much of what has passed in this thread was not the run's."""
    _away.seconds = getattr(_away, "seconds", 0.0) + seconds
