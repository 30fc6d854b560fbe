"""``sample:NAME?train=4000&test=2000&side=14``: a part of another source, of every class in proportion.

Which ones is fixed by the source's name (where that has an argument, such as a path: by what it holds) and the numbers,
not by a run's seed: it is part of the data set's definition, like an official split. The first of a larger sample are
no smaller sample. A number that is left out, or is not less than what the source has, keeps all. Classes, natural
groups, names, and the source's own mean and deviation stay; a validation part of the source is cut with the training
part that it lies in, and may not vanish. ``side``: images are averaged down to so many pixels a side, a divisor of what
they have, and mean and deviation are measured anew. For scenarios with few samples per client, and for runs that take
seconds.
"""

import numpy as np

from pfl_bench.api import (
    ArrayDataset,
    DataRequest,
    RequestError,
    load_dataset,
    make_dataset,
    numpy_generator,
    read_argument,
    register_dataset,
    whole_number,
)

MOST = 10**9
PARTS = {"train": "how many samples train", "test": "how many test"}
KNOWN = {**PARTS, "side": "pixels a side"}


@register_dataset(
    "sample", source="another source", summary="sample:NAME?train=4000&test=2000&side=14, a part of a source"
)
def load(request: DataRequest) -> ArrayDataset:
    """Load the source and keep a part of it. RequestError without a source, or without any number."""
    place, options = read_argument("sample", request.argument, KNOWN)
    if not place or not options:
        raise RequestError("data set 'sample' needs a source and a number: sample:NAME?train=4000&test=2000&side=14")
    if place.partition(":")[0] == "sample":
        raise RequestError(f"sample:{request.argument}: a sample of a sample; name its source and the smaller numbers")
    asked = {part: whole_number("sample", options, part, MOST, MOST) for part in PARTS}
    whole = load_dataset(place, request.data_dir, request.download)
    side = whole_number("sample", options, "side", 0) if "side" in options else 0
    source = whole.sha256 if ":" in place else place  # a file is the same one wherever it lies
    train = _kept(whole.train_labels, asked["train"], source, "train")
    test = _kept(whole.test_labels, asked["test"], source, "test")
    validates = np.zeros(len(train), bool) if whole.validation is None else whole.validation[train]
    if whole.validation is not None and whole.validation.any() and not validates.any():
        raise RequestError(
            f"sample:{request.argument}: train={asked['train']} keeps no sample of the source's validation part; "
            "take more"
        )
    rows = {"train": train[~validates], "validation": train[validates], "test": test}
    return _part_of(whole, f"sample:{request.argument}", rows, side)


def _kept(labels: np.ndarray, number: int, source: str, part: str) -> np.ndarray:
    """The rows that are kept, in their order: a draw put in order of its labels and picked at equal distances."""
    if number >= len(labels):
        return np.arange(len(labels))
    rng = numpy_generator("sample", source, part, number)
    drawn = rng.permutation(len(labels))
    by_class = drawn[np.argsort(labels[drawn], kind="stable")]
    picked = ((np.arange(number) + rng.random()) * len(labels) / number).astype(int)
    return np.sort(by_class[picked])


def _averaged(images: np.ndarray, side: int, name: str) -> np.ndarray:
    """Images ``[N, height, width, channels]`` averaged over blocks of pixels, rounded where they are whole numbers."""
    number, height, width, channels = images.shape
    if height != width or height % side:
        raise RequestError(f"{name}: side={side} must divide the images' sides, {height} and {width}")
    blocks = images.reshape(number, side, height // side, side, width // side, channels)
    mean = blocks.mean(axis=(2, 4), dtype=np.float32)
    return mean if images.dtype.kind == "f" else np.rint(mean).astype(images.dtype)


def _part_of(whole: ArrayDataset, name: str, rows: dict[str, np.ndarray], side: int) -> ArrayDataset:
    if side and whole.input.kind != "image":
        raise RequestError(f"{name}: side={side} is for images; those of this source are {whole.input.kind}")
    key = "images" if whole.input.kind == "image" else "inputs"
    arrays: dict[str, np.ndarray] = {}
    for part, own in rows.items():
        if not len(own) and part == "validation":
            continue
        inputs, labels, groups = (
            (whole.test_inputs, whole.test_labels, whole.test_groups)
            if part == "test"
            else (whole.train_inputs, whole.train_labels, whole.train_groups)
        )
        kept = _averaged(inputs[own], side, name) if side else inputs[own]
        arrays |= {f"{part}_{key}": kept, f"{part}_labels": labels[own]}
        if groups is not None:
            arrays[f"{part}_groups"] = groups[own]
    mean, std = (None, None) if side else (whole.mean or None, whole.std or None)
    return make_dataset(
        name, arrays, kind=whole.input.kind, vocabulary=whole.input.vocabulary, classes=whole.classes,
        mean=mean, std=std, groups=None if whole.train_groups is None else "groups",
        validation_share=whole.validation_share, held_out_within=whole.held_out_within,
        group_names=whole.group_names, notes=whole.notes,
    )  # fmt: skip
