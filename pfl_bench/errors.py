"""The one exception that means "the request was wrong", as opposed to "a run went wrong"."""

import difflib
import traceback
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pfl_bench.text import printable, shortened


class RequestError(ValueError):
    """A wrong request. Its text is one line; the command line prints it and exits with status 2."""


class UnsuitedError(Exception):
    """A method cannot take part in a scenario. Raised inside a run, which is then recorded as skipped."""


class DivergedError(Exception):
    """A run produced NaN or infinity. It is recorded as diverged."""


@contextmanager
def about(what: str) -> Iterator[None]:
    """Whatever is refused within says what it is about, unless it does already."""
    try:
        yield
    except RequestError as error:
        raise (error if str(error).startswith(what) else RequestError(f"{what}: {error}")) from error


def shown(value: object, most: int = 80) -> str:
    """A value as Python writes it, cut to a bounded length; control characters are written out."""
    if isinstance(value, str) and len(value) > most:
        return f"{value[:most]!r}... ({len(value)} characters)"
    try:
        text = repr(value)
    except Exception:
        return f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[:most]}..."


def no_file(path: Path) -> str:
    """What to say of a path that is no file; of one that does not exist, in which folder it was looked for."""
    if path.exists():
        return f"{path} is no file"
    return f"{path} does not exist" + ("" if path.is_absolute() else f" in {shown(str(Path.cwd()), 200)}")


MOST_CHOICES = 20


PLUG_IN = "; one of your own comes with --plugin FILE"
"""What to say of the unknown name of something that a plug-in may bring."""


def unknown(kind: str, name: str, known: Iterable[str], meant: str = "", also: str = "") -> RequestError:
    """Build the error for a name that does not exist: what is ``meant``, or the nearest names, first; then all of them,
    or some of many. ``also``: what else to say, last."""
    names, text = sorted(known), str(name)
    near = [meant] if meant else nearest(text, names)
    likely = near[:1] + [other for other in near[1:] if _likeness(text, other) == _likeness(text, near[0])]
    hint = f"did you mean {' or '.join(map(repr, likely))}? " if near else ""
    near = [] if meant else near
    listed = names if len(names) <= MOST_CHOICES else [*near, *(n for n in names if n not in near)][:MOST_CHOICES]
    rest = f", ... ({len(names)} in all)" if len(listed) < len(names) else ""
    return RequestError(f"unknown {kind} {shown(name)}: {hint}choose from {', '.join(listed) or '(none)'}{rest}{also}")


def registers_nothing(path: str) -> RequestError:
    """Build the error for a plug-in file that enters nothing, most likely because a decorator was forgotten."""
    return RequestError(
        f'plug-in {path!r} registers nothing: @register_method("name", paper=...) above a class makes it a method; '
        "data sets, client models, partition rules and shifts have register_dataset, register_model, "
        "register_partition and register_shift"
    )


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """The names that are most like a misspelt one."""
    return difflib.get_close_matches(name[:100], list(known), n=most, cutoff=0.5)


def _likeness(name: str, other: str) -> float:
    """As ``nearest`` counts it."""
    return difflib.SequenceMatcher(None, other, name[:100]).ratio()


LONGEST = 300
"""Characters of an exception's text that a message has room for."""


def one_line(error: BaseException) -> str:
    """Type and message of an exception on one line of bounded length."""
    try:
        text = printable(" ".join(str(error)[: 10 * LONGEST].split()))
    except BaseException:  # a method's own exception may be of any kind, and must not stop other runs
        text = "(its text cannot be had)"
    text = shortened(text, LONGEST)
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def placed(error: BaseException, files: Collection[str], hooks: Collection[str]) -> str:
    """``one_line``, and where in ``files`` it came from: ``(mine.py, line 21, in round)``, if it came through there.

    The line is that of the innermost frame in the files; the hook is the one of ``hooks`` that was called last.
    """
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename in files]
    if not own:
        return one_line(error)
    called = [frame.name for frame in own if frame.name in hooks]
    where = f"{Path(own[-1].filename).name}, line {own[-1].lineno}, in {called[-1] if called else own[-1].name}"
    return f"{one_line(error)} ({where})"
