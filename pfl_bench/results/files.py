"""Files of a results folder, which may have come from anywhere: read within bounds, written whole or not at all."""

import json
import os
import stat
from pathlib import Path
from typing import Any

MOST_JSON_BYTES, DEEPEST = 2**23, 40
MOST_TABLE_BYTES = 2**28


class Unreadable(ValueError):
    """Something in a results folder that cannot be used. Its text says why, on one line."""


def read_bytes(path: Path, most: int) -> bytes:
    """A regular file's content.

    Unreadable if it is something else (a pipe, a device, a folder) or larger than ``most`` bytes; FileNotFoundError or
    NotADirectoryError if it is not there. Never waits.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # opening a device may already do something
            raise Unreadable(f"{path.name} is no regular file")
        file = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
        with os.fdopen(file, "rb") as opened:
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):  # another one since
                raise Unreadable(f"{path.name} is no regular file")
            content = opened.read(most + 1)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be read: {error.strerror}") from error
    if len(content) > most:
        raise Unreadable(f"{path.name} is larger than {most // 2**20} MiB")
    return content


def read_text(path: Path, most: int) -> str:
    """A regular file's UTF-8 text, lines ended by newlines. Unreadable if it is none; else as ``read_bytes``."""
    content = read_bytes(path, most)
    try:
        return content.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise Unreadable(f"{path.name} cannot be read as text") from error


def read_json(path: Path) -> Any:
    """What a JSON file of bounded size and depth holds. Unreadable says what is wrong with it."""
    try:
        document = json.loads(read_text(path, MOST_JSON_BYTES), parse_constant=_no_figure)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Unreadable(f"there is no {path.name} in it") from error
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{path.name} is not JSON, or was cut off") from error
    if _deeper(document, DEEPEST):
        raise Unreadable(f"{path.name} is nested deeper than {DEEPEST} levels")
    return document


def _no_figure(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _deeper(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested deeper than so many levels."""
    layer = [value]
    for _ in range(levels + 1):
        containers = [v for v in layer if isinstance(v, dict | list)]
        layer = [inner for v in containers for inner in (v.values() if isinstance(v, dict) else v)]
        if not layer:
            return False
    return True


def write_text(place: Path, text: str) -> Path:
    """``write_bytes`` of the text in UTF-8, with lines as they are."""
    return write_bytes(place, text.encode())


def write_bytes(place: Path, content: bytes) -> Path:
    """Write beside ``place`` and rename: no reader sees half a file, and no link is written through.

    An OSError (a full disk) leaves what was there.
    """
    beside = place.with_name(f".{place.name}.new")
    try:
        beside.unlink(missing_ok=True)  # of a killed writer; or a link that somebody put there
        with beside.open("xb") as file:
            file.write(content)
        return beside.replace(place)
    finally:
        beside.unlink(missing_ok=True)
