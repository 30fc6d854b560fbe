"""What a case is, and how it is judged."""

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pfl_bench.errors import RequestError

SECONDS, LONGEST = 20, 1300
"""What reading may take, and how long a refusal's line may be."""


@dataclass(frozen=True)
class Case:
    """``read`` gives the content hash of what was read. ``right``: the hash it must have if it is not refused, None
    where it must be refused; ``must_read``: it must not be refused either."""

    read: Callable[[], str]
    right: str | None = None
    must_read: bool = False


Maker = Callable[[random.Random, Path], Case]
MAKERS: dict[str, Maker] = {}


def kind(maker: Maker) -> Maker:
    """Enter a function that makes cases of one kind into an empty folder."""
    MAKERS[f"{maker.__module__.rpartition('.')[2]}: {maker.__name__.replace('_', ' ')}"] = maker
    return maker


def judge(case: Case) -> tuple[str, str]:
    """``refused`` or ``read``, and what was wrong about it: empty where it is as it must be."""
    try:
        with _alarm():
            found = case.read()
    except RequestError as error:
        text = str(error)
        bad = "\n" in text or len(text) > LONGEST or case.must_read
        return "refused", f"refused with {text[:LONGEST]!r}" if bad else ""
    except Exception as error:
        return "failed", f"{type(error).__name__}: {str(error)[:300]}"
    return "read", "" if found == case.right else f"read as {found[:12]}, right is {(case.right or 'a refusal')[:12]}"


@contextmanager
def _alarm() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"longer than {SECONDS} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def damage(data: bytes, r: random.Random) -> bytes:
    """Bytes with bits flipped, cut, a block zeroed, doubled or exchanged, or something before or behind."""
    where, length = r.randrange(len(data)), r.choice([1, 4, 64, 1000])
    choice = r.randrange(8)
    if choice < 3:
        changed = bytearray(data)
        for _ in range(r.choice([1, 1, 3, 20])):
            changed[r.randrange(len(data))] ^= 1 << r.randrange(8)
        return bytes(changed)
    if choice == 3:
        return data[:where]
    if choice == 4:
        return data[:where] + bytes(length) + data[where + length :]
    if choice == 5:
        return data[:where] + data[where : where + length] + data[where:]
    if choice == 6:
        return data[:where] + r.randbytes(length) + data[where + length :]
    return r.choice([data + r.randbytes(length), r.randbytes(length) + data, data[::-1], data + data])
