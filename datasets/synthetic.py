"""``synthetic[:classes=10,channels=1,side=8,n=600]``: noisy class prototypes, for tests. Not for results.

``kind=table,features=8``, ``kind=series,channels=3,time=16`` and ``kind=tokens,length=12,vocabulary=20`` are the like
of other kinds of input; ``groups=5`` gives natural groups.
"""

import re
from collections.abc import Mapping

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    hold_out,
    make_dataset,
    numpy_generator,
    register_dataset,
)

OWN = {
    "image": {"channels": 1, "side": 8},
    "table": {"features": 8},
    "series": {"channels": 3, "time": 16},
    "tokens": {"length": 12, "vocabulary": 20},
}
COMMON = {"classes": 10, "n": 600}
MOST_VALUES = 10**8
NOISE = 40.0  # standard deviation in grey levels


def read_options(argument: str) -> tuple[str, dict[str, int]]:
    """``classes=3,n=180`` as a kind and numbers, each option once; together no more than ``MOST_VALUES``."""
    given: dict[str, str] = {}
    for part in argument.split(",") if argument else ():
        key, _, value = part.partition("=")
        if key in given:
            raise RequestError(f"synthetic: option {key!r} is given twice")
        given[key] = value
    kind = given.pop("kind", "image")
    if kind not in OWN:
        raise RequestError(f"synthetic: kind={kind[:80]!r} must be one of {', '.join(OWN)}")
    known = COMMON | OWN[kind]
    for key, value in given.items():
        if key not in (*known, "groups") or not re.fullmatch("[1-9][0-9]{0,6}", value):
            text = f"{key}={value}" if value else key
            raise RequestError(
                f"synthetic: option {text[:80]!r} must be one of {', '.join(known)}, groups = a positive number"
            )
    options = known | {key: int(value) for key, value in given.items()}
    size = int(np.prod([value for key, value in options.items() if key in OWN[kind] and key != "vocabulary"]))
    values = max(options["n"], options["classes"]) * size * (options.get("side", 1))
    if values > MOST_VALUES:
        raise RequestError(f"synthetic: numbers in all are {values}; the most allowed is {MOST_VALUES}")
    return kind, options


@register_dataset("synthetic", source="generated", summary="Noisy class prototypes, for tests only")
def load(request: DataRequest) -> ArrayDataset:
    """Draw ``n`` samples with equal class shares from fixed seeds and hold out a fixed fifth as test."""
    kind, options = read_options(request.argument)
    classes, n, groups = options["classes"], options["n"], options.pop("groups", 0)
    labels = np.arange(n) % classes
    inputs = _images(options, labels) if kind == "image" else _others(kind, options, labels)
    parts = hold_out("synthetic", inputs, labels, 0.2, "images" if kind == "image" else "inputs")
    if groups:
        for split in ("train", "test"):
            parts[f"{split}_groups"] = np.arange(len(parts[f"{split}_labels"])) % groups
    if kind == "image":
        return make_dataset("synthetic", parts, classes=classes, groups="groups" if groups else None)
    return make_dataset(
        "synthetic", parts, classes=classes, groups="groups" if groups else None,
        kind=kind, vocabulary=options.get("vocabulary", 0),  # type: ignore[arg-type]
    )  # fmt: skip


def _images(options: Mapping[str, int], labels: np.ndarray) -> np.ndarray:
    keys = ("classes", "channels", "side", "n")  # their order is part of the seed
    rng = numpy_generator("synthetic", *(options[key] for key in keys))
    shape = (options["side"], options["side"], options["channels"])
    prototypes = rng.uniform(60, 196, size=(options["classes"], *shape))
    noise = rng.normal(0, NOISE, size=(len(labels), *shape))
    return np.clip(np.rint(prototypes[labels] + noise), 0, 255).astype(np.uint8)


def _others(kind: str, options: Mapping[str, int], labels: np.ndarray) -> np.ndarray:
    """Numbers around a class's own; of tokens every other one is a class's own at its place."""
    rng = numpy_generator("synthetic", kind, *(options[key] for key in sorted(options)))
    if kind == "tokens":
        length, words = options["length"], options["vocabulary"]
        own = rng.integers(words, size=(options["classes"], length))
        other = rng.integers(words, size=(len(labels), length))
        return np.where(rng.random(other.shape) < 0.5, own[labels], other)
    shape = (options["features"],) if kind == "table" else (options["time"], options["channels"])
    prototypes = rng.normal(3.0, 1.0, size=(options["classes"], *shape))
    return prototypes[labels] + rng.normal(0, 1.0, size=(len(labels), *shape))
