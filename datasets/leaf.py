"""``leaf:FOLDER``: users as LEAF writes them (Caldas et al. 2018), ``FOLDER/train/*.json`` and ``FOLDER/test/*.json``.

A file has ``users`` and ``user_data``, which holds ``x`` and ``y`` for every user. A group is a user. ``x`` are rows of
numbers (a table; ``leaf:FOLDER?shape=28x28`` makes them grey pictures) or texts of one length (a token per character).
``y`` are numbers or texts. Validation is held out of every user's training samples.
"""

import re
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    InputKind,
    RequestError,
    coded,
    make_dataset,
    names_of,
    read_argument,
    register_dataset,
    shown,
)

from ._leaf_users import Samples, read_users

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
    read = {part: read_users(folder / part) for part in PARTS}
    joined = _joined(read)
    x, y, users = ({part: joined[part][at] for part in PARTS} for at in range(3))
    arrays, notes = dict[str, np.ndarray](), _without_samples(read)
    for what, own in (("labels", y), ("groups", users)):
        codes, more = coded(what, np.concatenate([own[part] for part in PARTS]), "leaf")
        arrays |= {f"train_{what}": codes[: len(own["train"])], f"test_{what}": codes[len(own["train"]) :]}
        notes += more if what == "labels" else ()
    kind, x, vocabulary = _laid_out(x, shape, notes)
    arrays |= {f"{part}_{'images' if kind == 'image' else 'inputs'}": x[part] for part in PARTS}
    return make_dataset(
        f"leaf:{folder}", arrays, kind=kind, vocabulary=vocabulary, groups="groups", held_out_within="groups",
        notes=notes, group_names=names_of(np.concatenate([users[part] for part in PARTS])),
    )  # fmt: skip


def _joined(read: dict[str, dict[str, Samples]]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Samples, labels and users' names of every part, in the order of the files."""
    return {
        part: (
            np.concatenate([x for x, _ in own.values() if len(x)]),
            np.concatenate([y for x, y in own.values() if len(x)]),
            np.repeat(list(own), [len(x) for x, _ in own.values()]),
        )
        for part, own in read.items()
    }


def _without_samples(read: dict[str, dict[str, Samples]]) -> list[str]:
    """A note on users that have none in any part, of whom nothing else would be heard."""
    users = dict.fromkeys(user for own in read.values() for user in own)
    empty = [user for user in users if not any(len(own[user][0]) for own in read.values() if user in own)]
    listed = ", ".join(shown(user, 30) for user in empty[:5]) + (", ..." if len(empty) > 5 else "")
    return [f"{len(empty)} of {len(users)} users without a sample: {listed}"] if empty else []


def _laid_out(
    x: dict[str, np.ndarray], shape: str, notes: list[str]
) -> tuple[InputKind, dict[str, np.ndarray], int]:  # fmt: skip
    """Which kind of input the samples are, laid out as such, and how many tokens there are."""
    kinds = {part: "texts" if own.dtype.kind == "U" else "numbers" for part, own in x.items()}
    if kinds["train"] != kinds["test"]:
        raise RequestError(f"leaf: x are {kinds['train']} in train/ and {kinds['test']} in test/")
    if kinds["train"] == "texts":
        if shape:
            raise RequestError(f"leaf: shape={shape} has no meaning for texts; leave it out")
        return "tokens", *_characters(x)
    number = x["train"].shape[1]
    if not shape:
        notes.append(f"x are read as a table of {number} features; ?shape=HEIGHTxWIDTH makes them pictures")
        return "table", x, 0
    height, width = map(int, shape.split("x"))
    if number != height * width:
        raise RequestError(f"leaf: shape={shape} is {height * width} numbers; x has {number}")
    return "image", {part: own.reshape(-1, height, width) for part, own in x.items()}, 0


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
