"""``torchvision:NAME``: any classification set of ``torchvision.datasets``: EMNIST, SVHN, GTSRB, Flowers102, ...

``torchvision:EMNIST?split=letters`` hands a set its ``split`` where it has variants; ``size=32`` makes all pictures
squares of 32 pixels, which sets whose pictures differ in size need. Its own training, validation and test parts are
used; a set in one piece holds a fifth of every class out to test. The pictures are kept as ``torchvision-NAME....npz``
in the data directory. torchvision is imported only to fetch them.
"""

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    hold_out,
    make_dataset,
    one_line,
    read_argument,
    register_dataset,
    shown,
    stored_arrays,
    whole_number,
)

from ._labelled_pictures import stacked_pictures
from ._torchvision import torchvision_class

OPTIONS = {"split": "a variant of the set", "size": "pixels"}
PARTS = {"train": ("train", "trainval"), "validation": ("val", "valid"), "test": ("test",)}


@register_dataset("torchvision", source="torchvision.datasets", summary="torchvision:NAME, e.g. EMNIST?split=letters")
def load(request: DataRequest) -> ArrayDataset:
    """Read the kept arrays; torchvision fetches them once."""
    name, options = read_argument("torchvision", request.argument, OPTIONS)
    if not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,40}", name):
        raise RequestError(
            f"torchvision: {shown(name)} names no class of torchvision.datasets; e.g. torchvision:EMNIST"
        )
    if not re.fullmatch("[A-Za-z0-9_.-]{0,40}", options.get("split", "")):
        raise RequestError(f"torchvision: split={shown(options['split'])} must be letters and digits")
    size = whole_number("torchvision", options, "size", 1, 1024) if "size" in options else None
    stem = "-".join(["torchvision", name, *(f"{key}-{value}" for key, value in sorted(options.items()))])
    whole = f"torchvision:{request.argument}"

    def dataset(arrays: Mapping[str, np.ndarray]) -> ArrayDataset:
        if "images" in arrays:
            return make_dataset(whole, hold_out(whole, arrays["images"], arrays["labels"], 0.2))
        return make_dataset(whole, arrays)

    return dataset(stored_arrays(
        stem, replace(request, argument=""), lambda folder: fetch(name, folder, options.get("split"), size),
        check=dataset, asked=whole,
    ))  # fmt: skip


def fetch(name: str, folder: Path, variant: str | None, size: int | None) -> Mapping[str, np.ndarray]:
    """The parts of a set, or ``images`` and ``labels`` if it is in one piece."""
    made: Any = torchvision_class(name)
    if not isinstance(made, type):
        raise RequestError(f"torchvision.datasets.{name} is no data set")
    takes, needed = parameters_of(made)
    missing = sorted(needed - {"root", "train", "split"})
    if missing:
        raise RequestError(f"torchvision.datasets.{name} needs {', '.join(missing)}, for which there is no option")
    if variant is not None and not {"train", "split"} <= set(takes):
        raise RequestError(f"split={shown(variant)} has no meaning: torchvision.datasets.{name} has no variants")
    base: dict[str, Any] = {"root": str(folder)} if "root" in takes else {}
    if "download" in takes:
        base["download"] = True
    if "train" in takes:
        if variant is None and "split" in needed:
            raise RequestError(f"torchvision.datasets.{name} has variants{_listed(made)}; add ?split=VARIANT")
        base |= {} if variant is None else {"split": variant}
        return _joined({"train": _variant(made, base, True), "test": _variant(made, base, False)}, size)
    if "split" not in takes:
        images, labels = stacked_pictures({"": made(**base)}, size)[""]
        return {"images": images, "labels": labels}
    parts = {}
    for part, words in PARTS.items():
        found = next((own for word in words if (own := _split(made, base, word)) is not None), None)
        if found is not None:
            parts[part] = found
    if "test" not in parts and "validation" in parts:
        parts["test"] = parts.pop("validation")
    if not {"train", "test"} <= parts.keys():
        raise RequestError(f"torchvision.datasets.{name} has no parts train and test")
    return _joined(parts, size)


def parameters_of(made: type) -> tuple[set[str], set[str]]:
    """What a class takes, by name, and what of it has no default; also of the classes to which it hands on the rest."""
    takes, needed = set[str](), set[str]()
    for cls in made.__mro__:
        if "__init__" not in vars(cls):
            continue
        own = list(inspect.signature(vars(cls)["__init__"]).parameters.values())[1:]
        named = [each for each in own if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
        needed |= {each.name for each in named if each.default is each.empty} - takes
        takes |= {each.name for each in named}
        if all(each.kind != each.VAR_KEYWORD for each in own):
            break
    return takes, needed


def _variant(made: Any, base: Mapping[str, Any], train: bool) -> Any:
    """A part of a set that may have variants; RequestError for one that it has not."""
    try:
        return made(**base, train=train)
    except ValueError as error:  # torchvision's check of its arguments
        if "split" in base and "split" in str(error):
            raise RequestError(f"split={shown(base['split'])} is no variant: {one_line(error)}") from error
        raise


def _listed(made: Any) -> str:
    """The variants of a set, where it says which there are."""
    found = getattr(made, "splits", ())
    return f": {', '.join(map(str, found))}" if isinstance(found, tuple | list) and found else ""


def _split(made: Any, base: Mapping[str, Any], word: str) -> Any:
    """A part of a set, or None if it has none of that name."""
    try:
        return made(**base, split=word)
    except ValueError as error:  # torchvision's check of its arguments
        if "split" in str(error):
            return None
        raise


def _joined(parts: Mapping[str, Any], size: int | None) -> Mapping[str, np.ndarray]:
    found = {}
    for part, (images, labels) in stacked_pictures(parts, size).items():
        found[f"{part}_images"], found[f"{part}_labels"] = images, labels
    return found
