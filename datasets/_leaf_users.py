"""LEAF's JSON files: every user's samples, checked one user at a time, so that a refusal says whose they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import RequestError, shown

Samples = tuple[np.ndarray, np.ndarray]
FORM = "users and user_data with x and y"


def read_users(folder: Path) -> dict[str, Samples]:
    """``x`` (rows of numbers ``[N, d]``, or texts of one length) and ``y`` of every user of a part."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise RequestError(f"leaf: {folder} has no .json file")
    found: dict[str, Samples] = {}
    first: tuple[str, Samples] | None = None
    for path in files:
        for user, (own, count) in _users(path).items():
            where = f"leaf: {path}: user {shown(user)}"
            if user in found:
                raise RequestError(f"{where} occurs twice in {folder}")
            found[user] = samples = _samples(where, own)
            number = len(samples[0])
            if count not in (None, number):
                raise RequestError(f"{where} has {number} samples, and num_samples says {shown(count, 20)}")
            if number:
                first = first or (user, samples)
                _require_alike(where, samples, *first)
    if first is None:
        raise RequestError(f"leaf: {folder} has no sample")
    return found


def _users(path: Path) -> dict[str, tuple[Any, Any]]:
    """What a file has of every user, and how many samples it says these are (None where it does not); RequestError
    unless ``users``, ``user_data`` and ``num_samples`` are of the same users."""
    try:
        data = json.loads(path.read_text(encoding="utf-8-sig"))
        users, of_user, counts = [str(user) for user in data["users"]], dict(data["user_data"]), data.get("num_samples")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RequestError(f"leaf: {path} has not LEAF's form, {FORM}") from error
    if odd := next((user for user in users if user not in of_user), None):
        raise RequestError(f"leaf: {path}: user {shown(odd)} is among users and not in user_data")
    if odd := next((user for user in of_user if user not in set(users)), None):
        raise RequestError(f"leaf: {path}: user {shown(odd)} is in user_data and not among users")
    counts = [None] * len(users) if counts is None else counts
    if not isinstance(counts, list) or len(counts) != len(users):
        raise RequestError(f"leaf: {path}: num_samples must have a number for each of {len(users)} users")
    return {user: (of_user[user], count) for user, count in zip(users, counts, strict=True)}


def _samples(where: str, own: Any) -> Samples:
    if not isinstance(own, dict) or not isinstance(own.get("x"), list) or not isinstance(own.get("y"), list):
        raise RequestError(f"{where} has no lists x and y")
    if len(own["x"]) != len(own["y"]):
        raise RequestError(f"{where} has {len(own['x'])} x and {len(own['y'])} y")
    return _array(where, "x", own["x"]), _array(where, "y", own["y"])


def _array(where: str, what: str, values: list[Any]) -> np.ndarray:
    """A column as an array: texts, or numbers of one shape."""
    if not values:
        return np.empty(0)
    texts = all(isinstance(value, str) for value in values)
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise RequestError(f"{where}: samples differ in the length of {what}") from error
    if found.dtype.kind not in ("U" if texts else "fiu") or (not texts and found.ndim != (2 if what == "x" else 1)):
        raise RequestError(f"{where}: {what} must be texts, or {'rows of ' * (what == 'x')}numbers")
    if texts and what == "x" and len({len(value) for value in values}) > 1:
        raise RequestError(f"{where}: texts differ in length; LEAF's have 80 characters")
    if not texts and not (finite := np.isfinite(found)).all():
        at = int(np.argwhere(~finite)[0][0])
        raise RequestError(f"{where}: {what} of sample {at} is missing or infinite; fill it, or take that sample out")
    return found


def _require_alike(where: str, samples: Samples, first: str, others: Samples) -> None:
    """RequestError unless two users' samples are of one form."""
    for what, own, other in zip("xy", samples, others, strict=True):
        kinds = ["texts" if values.dtype.kind == "U" else "numbers" for values in (own, other)]
        if kinds[0] != kinds[1]:
            raise RequestError(f"{where}: {what} must be texts, or numbers; they are {kinds[0]}, and {kinds[1]} of "
                               f"user {shown(first)}")  # fmt: skip
    sizes = [len(own[0][0]) for own in (samples, others)]
    if sizes[0] != sizes[1]:
        raise RequestError(f"{where}: samples differ in the length of x: {sizes[0]}, and {sizes[1]} of {shown(first)}")
