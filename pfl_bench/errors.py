"""The one exception that means "the request was wrong", as opposed to "a run went wrong"."""

import difflib
from collections.abc import Iterable

from pydantic import ValidationError


class RequestError(ValueError):
    """A wrong request. Its text is one line; the command line prints it and exits with status 2."""


class UnsuitedError(Exception):
    """A method cannot take part in a scenario. Raised inside a run, which is then recorded as skipped."""


class DivergedError(Exception):
    """A run produced NaN or infinity. It is recorded as diverged."""


def unknown(kind: str, name: str, known: Iterable[str]) -> RequestError:
    """Build the error for a name that does not exist: the nearest name first, then all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return RequestError(f"unknown {kind} {name!r}: {hint}choose from {', '.join(names) or '(none)'}")


def one_line(error: BaseException) -> str:
    """Type and message of an exception on one line."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def first_problem(error: ValidationError) -> str:
    """The first complaint of pydantic on one line: field, value and what is wrong."""
    problem = error.errors()[0]
    field = ".".join(str(part) for part in problem["loc"]) or "value"
    return f"{field}={problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
