"""What a check is, what it complains of, and how it is examined."""

import importlib.util
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from pfl_bench.running.job import method_error


class CheckFailedError(AssertionError):
    """What is wrong, in one line; with the traceback of the run that failed, if that is what is wrong."""

    def __init__(self, said: str, trace: str = "") -> None:
        super().__init__(said)
        self.trace = trace


class Complaint(str):
    """What a check complains of, in one line. ``trace``: the traceback of the exception behind it, or empty.

    ``error``: the exception itself, as far as it was raised in this process; else that of the check.
    """

    trace: str
    error: BaseException

    def __new__(cls, said: str, trace: str, error: BaseException) -> "Complaint":
        """A text that carries a traceback, and the exception that a debugger looks at."""
        complaint = super().__new__(cls, said)
        complaint.trace, complaint.error = trace, error
        return complaint


@dataclass(frozen=True)
class Check:
    """One property of a fair entrant; ``examine(name, context)`` raises CheckFailedError.

    ``vital``: without it no other is examined. ``needs``: a package that is optional; without it the check is left out.
    """

    title: str
    examine: Callable[[str, Any], None]
    vital: bool = False
    needs: str = ""

    @property
    def left_out(self) -> str:
        """Why it cannot be examined here, or empty."""
        if not self.needs or importlib.util.find_spec(self.needs) is not None:
            return ""
        return f"the package {self.needs!r} is not installed (pip install 'pfl-bench[{self.needs}]')"


def examine(checks: Sequence[Check], subject: str, context: Any) -> Iterator[tuple[Check, Complaint | None]]:
    """Each check with what it complains of, or None; none after a vital one that failed, and none that is left out."""
    for check in [check for check in checks if not check.left_out]:
        complaint = run_check(check, subject, context)
        yield check, complaint
        if check.vital and complaint is not None:
            return


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one torch thread, as runs do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_check(check: Check, method: str, context: Any) -> Complaint | None:
    """What a check complains of, or None. An exception of the method's own is a complaint too."""
    try:
        with one_thread():
            check.examine(method, context)
    except CheckFailedError as complaint:
        return Complaint(str(complaint), complaint.trace, _origin(complaint))
    except Exception as error:
        return Complaint(method_error(method, error), traceback.format_exc(), error)
    return None


def _origin(error: BaseException) -> BaseException:
    """What an exception was raised from, at the very beginning."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error
