"""``npz:PATH``: your own arrays in one ``.npz`` file, in the shapes in which they usually lie there.

Arrays are named by part and content in either order: ``train_images`` or ``x_train``, ``y_test`` or ``test_labels``,
``train_groups`` or ``users_test``. Parts are ``train``, ``test`` and, if there is one, ``val``. Images are uint8 or
float ``[N, H, W]``, ``[N, H, W, C]`` or, where nothing else can be meant, ``[N, C, H, W]``. Numbers called otherwise
(``x``, ``data``, ``features``) are a table ``[N, features]`` or series ``[N, time, channels]``; ``tokens`` are whole
numbers ``[N, length]``. ``npz:PATH?kind=series`` says what they are; without it a note says what they were taken for.
``vocabulary=N``: how many tokens there are. ``missing=mean`` fills what is missing. An option without meaning for the
kind is refused. Labels and groups are whole numbers, ``[N]`` or ``[N, 1]``, or names.
"""

import re
from pathlib import Path

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    channels_come_first,
    coded,
    make_dataset,
    names_of,
    read_argument,
    read_npz,
    register_dataset,
    shown,
    whole_number,
)

PARTS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation",
         "dev": "validation", "test": "test"}  # fmt: skip
CONTENTS = {
    "images": "images", "image": "images", "inputs": "inputs", "x": "inputs", "data": "inputs", "features": "inputs",
    "tokens": "tokens", "labels": "labels", "label": "labels", "y": "labels", "targets": "labels", "target": "labels",
    "groups": "groups", "group": "groups", "users": "groups", "user": "groups", "clients": "groups", "client": "groups",
}  # fmt: skip
OTHER_PARTS = re.compile(r"(train|test|val|valid|validation|dev|extra|unlabel+ed)([_.]|$)", re.IGNORECASE)
OPTIONS = {"kind": "image, table, series or tokens", "vocabulary": "number of tokens", "missing": "mean"}
KINDS = ("image", "table", "series", "tokens")


@register_dataset("npz", source="a file of yours", summary="npz:PATH with train/test inputs and labels")
def load(request: DataRequest) -> ArrayDataset:
    """Read inputs, labels and, where there are any, groups and a validation part.

    An array that would be part of another split (``extra_images``) is refused; others that are not used are noted.
    """
    place, options = (request.argument, dict[str, str]())
    if not Path(request.argument).is_file():
        place, options = read_argument("npz", request.argument, OPTIONS)
    if not place:
        raise RequestError("data set 'npz' needs a path: npz:PATH")
    name = f"npz:{Path(place)}"
    arrays, notes = _named(name, read_npz(Path(place), name))
    for key, allowed in (("kind", KINDS), ("missing", ("mean",))):
        if options.get(key, allowed[0]) not in allowed:
            raise RequestError(f"{name}: {key}={shown(options[key])} must be one of {', '.join(allowed)}")
    _require_parts(name, arrays, notes)
    splits = list(dict.fromkeys(part for part, _ in arrays))
    content = next((what for what in ("images", "inputs", "tokens") if ("train", what) in arrays), "images")
    first = arrays.get(("train", content))
    kind = options.get("kind") or _kind(content, first)
    _refuse_without_meaning(name, kind, options, first)
    if content == "inputs" and "kind" not in options and first is not None:
        notes += _guessed(kind, first)
    found = {
        f"{part}_{'images' if kind == 'image' else 'inputs'}": _laid_out(part, values, kind, notes)
        for part in splits
        if (values := arrays.get((part, content))) is not None
    }
    names = dict[str, tuple[str, ...]]()
    for what in ("labels", "groups"):
        own = {part: arrays[part, what] for part in splits if (part, what) in arrays}
        numbers, names[what] = _numbers(name, what, own, notes)
        found |= {f"{part}_{what}": values for part, values in numbers.items()}
    return make_dataset(
        name, found, kind=None if kind == "image" and "kind" not in options else kind,  # type: ignore[arg-type]
        groups="groups" if any(key.endswith("_groups") for key in found) else None, notes=notes,
        vocabulary=_vocabulary(name, kind, options, found, notes), missing=options.get("missing", "optional"),  # type: ignore[arg-type]
        held_out_within="groups" if "train_groups" in found else "classes", group_names=names["groups"],
    )  # fmt: skip


def _named(name: str, arrays: dict[str, np.ndarray]) -> tuple[dict[tuple[str, str], np.ndarray], list[str]]:
    """Arrays by part and content. RequestError for one that would be dropped and for two of one meaning."""
    found: dict[tuple[str, str], np.ndarray] = {}
    unused, called = [], dict[tuple[str, str], str]()
    for key, array in sorted(arrays.items()):
        first, _, second = key.lower().partition("_")
        part, content = (first, second) if first in PARTS else (second, first)
        if part in PARTS and content in CONTENTS:
            meant = PARTS[part], CONTENTS[content]
            if meant in found:
                raise RequestError(f"{name}: arrays {called[meant]!r} and {key[:80]!r} mean the same")
            found[meant], called[meant] = array, key
        elif OTHER_PARTS.match(key):
            raise RequestError(
                f"{name}: array {key[:80]!r} would not be used; parts are train, val and test, and what they hold is "
                "called images (x, data, tokens), labels (y) and groups; rename it or take it out of the file"
            )
        else:
            unused.append(key)
    listed = ", ".join(repr(key[:80]) for key in unused[:5]) + (", ..." if len(unused) > 5 else "")
    given = sorted({what for _, what in found} & {"images", "inputs", "tokens"})
    if len(given) > 1:
        keys = [repr(next(key for meant, key in called.items() if meant[1] == what)[:80]) for what in given]
        raise RequestError(f"{name}: arrays {' and '.join(keys)} are samples of different kinds; call them alike")
    return found, [f"{len(unused)} arrays of the file are not used: {listed}"] if unused else []


def _require_parts(name: str, arrays: dict[tuple[str, str], np.ndarray], notes: list[str]) -> None:
    """RequestError, in the names that a file may have, unless there are samples and labels to train and to test."""
    there = {(part, "x" if what in ("images", "inputs", "tokens") else "y") for part, what in arrays}
    absent = [f"{what}_{part}" for part in ("train", "test") for what in "xy" if (part, what) not in there]
    if absent:
        raise RequestError(
            f"{name}: {', '.join(absent)} missing; a file has samples and labels to train and to test: "
            f"x_train, y_train, x_test, y_test, or train_images, train_labels, ..."
            + "".join(f"; {note}" for note in notes)
        )


def _kind(content: str, values: np.ndarray | None) -> str:
    """What arrays are by their name, type and number of axes."""
    if content != "inputs" or values is None:
        return "tokens" if content == "tokens" else "image"
    if values.dtype == np.uint8 and values.ndim in (3, 4):
        return "image"
    return {2: "table", 3: "series"}.get(values.ndim, "image")


def _guessed(kind: str, values: np.ndarray) -> list[str]:
    """A note where the arrays could be of another kind, too."""
    possible = {2: ("table", "tokens"), 3: ("image", "series")}.get(values.ndim, ())
    others = [other for other in possible if other != kind and (other != "tokens" or values.dtype.kind in "iu")]
    said = f"samples of shape {values.shape[1:]}, {values.dtype}, are read as kind={kind}"
    return [f"{said}; if they are not, add kind={others[0]} to the request"] if others else []


def _refuse_without_meaning(name: str, kind: str, options: dict[str, str], values: np.ndarray | None) -> None:
    """RequestError for an option that changes nothing for this kind."""
    if "vocabulary" in options and kind != "tokens":
        raise RequestError(f"{name}: vocabulary={shown(options['vocabulary'])} has no meaning for kind={kind}; "
                           "add kind=tokens, or leave it out")  # fmt: skip
    if "missing" in options and values is not None and values.dtype.kind != "f":
        raise RequestError(f"{name}: missing=mean has no meaning for {values.dtype}, of which none is missing")


def _laid_out(part: str, values: np.ndarray, kind: str, notes: list[str]) -> np.ndarray:
    """Images with their channels last."""
    if kind == "image" and channels_come_first(values) and values.shape[-1] not in (1, 3):
        notes.append(f"the {part} images {values.shape} have their channels first; they are read so")
        return values.transpose(0, 2, 3, 1)
    return values


def _numbers(
    name: str, what: str, own: dict[str, np.ndarray], notes: list[str]
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:  # fmt: skip
    """Labels or groups per part as ``[N]``; names become numbers over all parts together, and are told."""
    flat = {part: v[:, 0] if v.ndim == 2 and v.shape[1] == 1 else v for part, v in own.items()}
    if not flat or not all(v.ndim == 1 and v.dtype.kind in "US" for v in flat.values()):
        return flat, ()
    texts = [np.char.decode(v, "utf-8", "replace") if v.dtype.kind == "S" else v for v in flat.values()]
    codes, more = coded(what, joined := np.concatenate(texts), name)
    notes.extend(more)
    return dict(zip(flat, np.split(codes, np.cumsum([len(v) for v in texts])[:-1]), strict=True)), names_of(joined)


def _vocabulary(name: str, kind: str, options: dict[str, str], found: dict[str, np.ndarray], notes: list[str]) -> int:
    """How many tokens there are: as the request says, or one more than the highest."""
    if kind != "tokens":
        return 0
    if "vocabulary" in options:
        return whole_number(name, options, "vocabulary", 1)
    highest = max((int(v.max()) for k, v in found.items() if k.endswith("_inputs") and v.size and v.dtype.kind in "iu"),
                  default=0)  # fmt: skip
    notes.append(f"the vocabulary is taken to be the {highest + 1} tokens up to the highest")
    return max(1, highest + 1)
