"""Files as people name them: names that every file system takes, ``~``, and text with or without a byte-order mark."""

import re
from pathlib import Path

from .errors import RequestError, one_line, shown

LONGEST_NAME = 100
"""Characters of a name that becomes part of a file's: names of files have 255 bytes, and ours get additions."""

LARGEST_TEXT = 4 * 2**20
"""Bytes of a text file that is read whole."""

_RESERVED = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)


def check_name(name: str, what: str) -> None:
    """RequestError for a name that some file system does not take: too long, reserved by Windows, or ending in a dot.

    ``what`` is what the error calls it, such as ``method name``.
    """
    if len(name) > LONGEST_NAME:
        raise RequestError(f"{what} {shown(name)} has {len(name)} characters; at most {LONGEST_NAME} are allowed")
    if _RESERVED.fullmatch(name):
        raise RequestError(f"{what} {shown(name)} is reserved by Windows: no file can have it")
    if name.endswith((".", " ")):
        raise RequestError(f"{what} {shown(name)} ends in {name[-1]!r}, which Windows drops from a file's name")


def expanded(path: str | Path) -> Path:
    """The path with a leading ``~`` or ``~user`` replaced by that home folder; RequestError if there is none."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise RequestError(f"{shown(str(path))}: there is no such home folder") from error


def read_text(path: Path, what: str) -> str:
    """The text of a UTF-8 file, without its byte-order mark if it has one. RequestError says why it cannot be had."""
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, and a device never ends
            raise RequestError(f"{what} {shown(str(path))} cannot be read: it is no file")
        if (size := path.stat().st_size) > LARGEST_TEXT:
            raise RequestError(f"{what} {shown(str(path))} cannot be read: {size} bytes, more than {LARGEST_TEXT}")
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise RequestError(f"{what} {shown(str(path))} cannot be read: there is no such file") from error
    except UnicodeDecodeError as error:
        where = f"byte {error.object[error.start]:#04x} at position {error.start}"
        raise RequestError(f"{what} {shown(str(path))} cannot be read: it is not UTF-8 ({where})") from error
    except (OSError, ValueError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{what} {shown(str(path))} cannot be read: {one_line(error)}") from error
