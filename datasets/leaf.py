"""``leaf:FOLDER``: users as LEAF writes them (Caldas et al. 2018), ``FOLDER/train/*.json`` and ``FOLDER/test/*.json``.

A file has ``users`` and ``user_data``, which holds ``x`` and ``y`` for every user. A group is a user. ``x`` are rows of
numbers (a table; ``leaf:FOLDER?shape=28x28`` makes them grey pictures) or texts of one length (a token per character).
``y`` are numbers or texts. Validation is held out of every user's training samples.
"""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    coded,
    make_dataset,
    read_argument,
    register_dataset,
    shown,
)

PARTS = ("train", "test")


@register_dataset("leaf", source="Caldas et al. 2018, arXiv:1812.01097", summary="leaf:FOLDER with LEAF's JSON files")
def load(request: DataRequest) -> ArrayDataset:
    """Read every user's training and test samples."""
    place, options = read_argument("leaf", request.argument, {"shape": "HEIGHTxWIDTH"})
    folder, shape = Path(place), options.get("shape", "")
    if not place or not all((folder / part).is_dir() for part in PARTS):
        raise RequestError(f"data set 'leaf' needs a folder with train/ and test/, found {shown(place)}")
    if shape and not re.fullmatch("[1-9][0-9]{0,3}x[1-9][0-9]{0,3}", shape):
        raise RequestError(f"leaf: shape={shown(shape)} must be HEIGHTxWIDTH, e.g. 28x28")
    x, y, users = {}, {}, {}
    for part in PARTS:
        x[part], y[part], users[part] = _part(folder / part)
    arrays, notes = dict[str, np.ndarray](), list[str]()
    for what, own in (("labels", y), ("groups", users)):
        codes, more = coded(f"leaf: {what}", np.concatenate([own[part] for part in PARTS]))
        arrays |= {f"train_{what}": codes[: len(own["train"])], f"test_{what}": codes[len(own["train"]) :]}
        notes += more if what == "labels" else ()
    kind: Any = "tokens" if x["train"].dtype.kind in "U" else "table"
    vocabulary = 0
    if x["train"].dtype.kind != x["test"].dtype.kind:
        raise RequestError(f"leaf: x is {x['train'].dtype} in train/ and {x['test'].dtype} in test/")
    if kind == "tokens":
        x, vocabulary = _characters(x)
    if shape and kind == "table":
        height, width = map(int, shape.split("x"))
        if x["train"].shape[1] != height * width:
            raise RequestError(f"leaf: shape={shape} is {height * width} numbers; x has {x['train'].shape[1]}")
        kind, x = "image", {part: own.reshape(-1, height, width) for part, own in x.items()}
    arrays |= {f"{part}_{'images' if kind == 'image' else 'inputs'}": x[part] for part in PARTS}
    return make_dataset(
        f"leaf:{folder}", arrays, kind=kind, vocabulary=vocabulary, groups="groups", held_out_within="groups",
        notes=notes,
    )  # fmt: skip


def _part(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, labels and users' names of a part."""
    files = sorted(folder.glob("*.json"))
    if not files:
        raise RequestError(f"leaf: {folder} has no .json file")
    xs, ys, users = list[Any](), list[Any](), list[str]()
    for path in files:
        try:
            data = json.loads(path.read_text(encoding="utf-8-sig"))
            for user in data["users"]:
                own = data["user_data"][user]
                if len(own["x"]) != len(own["y"]):
                    raise RequestError(f"leaf: {path}: user {shown(user)} has {len(own['x'])} x and {len(own['y'])} y")
                xs += own["x"]
                ys += own["y"]
                users += [str(user)] * len(own["y"])
        except RequestError:
            raise
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise RequestError(f"leaf: {path} has not LEAF's form, users and user_data with x and y") from error
    return _array(folder, "x", xs), _array(folder, "y", ys), np.asarray(users)


def _array(folder: Path, what: str, values: list[Any]) -> np.ndarray:
    """A column as an array: texts, or numbers of one shape."""
    if not values:
        raise RequestError(f"leaf: {folder} has no sample")
    try:
        found = np.asarray(values)
    except ValueError as error:
        raise RequestError(f"leaf: {folder}: samples differ in the length of {what}") from error
    texts = all(isinstance(value, str) for value in values)
    if found.dtype.kind not in ("U" if texts else "fiu") or (what == "x" and not texts and found.ndim != 2):
        raise RequestError(f"leaf: {folder}: {what} must be texts, or {'rows of ' * (what == 'x')}numbers")
    if texts and what == "x" and len({len(value) for value in values}) > 1:
        raise RequestError(f"leaf: {folder}: texts differ in length; LEAF's have 80 characters")
    return found


def _characters(x: dict[str, np.ndarray]) -> tuple[dict[str, np.ndarray], int]:
    """A token per character; 0 is for those that training does not have."""
    split = {
        part: own.astype(f"U{own.dtype.itemsize // 4}").view("<u4").reshape(len(own), -1) for part, own in x.items()
    }
    known = np.unique(split["train"])
    found = {}
    for part, own in split.items():
        place = np.searchsorted(known, own).clip(max=len(known) - 1)
        found[part] = np.where(known[place] == own, place + 1, 0)
    return found, len(known) + 1
