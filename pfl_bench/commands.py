"""What every program of this package has in common: errors as one line on stderr, and exit statuses."""

import argparse
import errno
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NoReturn

from .errors import RequestError, one_line
from .text import printable

WRONG, FAILED, INTERRUPTED = 2, 1, 130
"""Exit statuses: a wrong request, something else that went wrong, Ctrl-C."""

_LONGEST_LINE, _LONGEST_WORD = 1200, 256


def refuse(message: str, status: int = WRONG, kind: str = "error: ") -> int:
    """Print an error as one line of bounded length, with nothing hidden in it, and return ``status``."""
    with suppress(OSError):  # the terminal may be gone
        print(f"{kind}{_bounded(message)}", file=sys.stderr)
    return status


def _bounded(message: str) -> str:
    """One line; what is longer than a line can be, or a word in it, loses its middle."""
    text = re.sub(rf"\S{{{_LONGEST_WORD + 1},}}", lambda word: _shortened(word[0], _LONGEST_WORD), message)
    text = _shortened(" ".join(text.split()), _LONGEST_LINE)
    return printable(text)


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most * 2 // 3]}...{text[-most // 3 :]}"


def exit_status(action: Callable[[], object]) -> int:
    """Do it and return the exit status: what it returned if that is one, 0 if not.

    A RequestError becomes one line and 2; any other failure of the system, and an exit() that is not ours, one line
    and 1.
    """
    try:
        status = action()
    except RequestError as error:
        return refuse(str(error))
    except KeyboardInterrupt:
        return INTERRUPTED
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # rich's, of a help text whose reader went away
            return 0
        return refuse(f"something that was loaded called exit({error.code!r})", FAILED)
    except BrokenPipeError:
        return 0
    except OSError as error:
        return refuse(one_line(error), WRONG if error.errno == errno.ENAMETOOLONG else FAILED)
    return status if isinstance(status, int) else 0


class _Parser(argparse.ArgumentParser):
    """Python's parser, with its usage errors as RequestErrors."""

    def error(self, message: str) -> NoReturn:
        raise RequestError(f"{message} ({' '.join(self.format_usage().split())})")


def parser(module: str, summary: str | None) -> argparse.ArgumentParser:
    """A parser for ``python -m MODULE``; its usage errors are RequestErrors. ``summary``: the module's docstring."""
    return _Parser(
        prog=f"python -m {module}", description=summary, allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip


def run_parsed(
    asked: argparse.ArgumentParser, arguments: Sequence[str], work: Callable[[argparse.Namespace], object]
) -> int:
    """Parse the command line, do the work, and return the exit status."""

    def parse_and_work() -> object:
        try:
            words = asked.parse_args(list(arguments))
        except SystemExit:  # it has shown the help
            return 0
        return work(words)

    return exit_status(parse_and_work)
