"""From raw arrays to a data set: checked, renumbered, measured."""

from collections.abc import Sequence

import numpy as np

from pfl_bench.errors import RequestError, shown
from pfl_bench.text import agreeing, counted

from .arrays import checked_inputs, checked_numbers, renumbered
from .dataset import ArrayDataset, Arrays, Within, content_hash
from .inputs import InputKind, InputSpec
from .standardise import Figures, Missing, filled, statistics

SPLITS = ("train", "test")
VALIDATION = "validation"
UNLIKELY = 100
"""How many times larger values of one part than of another are taken for another unit: 0 to 255 beside 0 to 1."""


def make_dataset(
    name: str,
    arrays: Arrays,
    *,
    kind: InputKind | None = None,
    vocabulary: int = 0,
    classes: int | None = None,
    mean: Figures | None = None,
    std: Figures | None = None,
    groups: str | None = None,
    validation_share: float = 0.2,
    held_out_within: Within = "classes",
    missing: Missing = "refused",
    group_names: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> ArrayDataset:
    """Check raw arrays and wrap them.

    ``train_images`` and ``test_images`` (of another ``kind`` ``train_inputs`` and ``test_inputs``), ``train_labels``
    and ``test_labels``, with ``train_<groups>`` and ``test_<groups>``; where the source has a validation part of its
    own, ``validation_...`` likewise. Layouts are those of ``ArrayDataset``; grey images may lack the channel axis, and
    numbers of any width become float32. ``kind="image"`` takes uint8 images with any number of channels, None those
    with one or three. Where ``mean`` and ``std`` are not given they are measured on the training samples, without
    validation if the source has it. ``missing``: what becomes of NaN; ``optional``: refused, with the advice to ask for
    ``missing=mean``. Where ``classes`` is not given, classes are those that occur: other numbers are renumbered, and so
    are groups, which is among the notes. ``group_names``: what the groups from 0 on are called. A class that only the
    test part has is refused. RequestError names the array and what is wrong with it.
    """
    key = "images" if kind in (None, "image") else "inputs"
    splits = _splits(name, arrays, (key, "labels", *([groups] if groups else ())))
    inputs = {s: checked_inputs(name, f"{s}_{key}", arrays[f"{s}_{key}"], kind, vocabulary) for s in splits}
    _require_alike(name, inputs)
    if kind in (None, "image"):
        _require_one_unit(name, inputs)
    inputs, said = filled(name, inputs, inputs["train"], missing)
    labels, classes, more = _labels(name, arrays, splits, inputs, classes)
    said = (*notes, *said, *more)
    of_parts = {key: [inputs[s] for s in splits], "labels": labels}
    if groups is not None:
        numbers = _numbers(name, groups, arrays, splits, inputs)
        of_parts["groups"], _, more = renumbered("groups", *numbers)
        said += (*more, *_one_sided(numbers, group_names))
        if group_names or more:
            group_names = [
                group_names[k] if group_names else str(k) for k in np.unique(np.concatenate(numbers)).tolist()
            ]
    checked = {f"{s}_{what}": part for what, parts in of_parts.items() for s, part in zip(splits, parts, strict=True)}
    spec = _input_spec(kind or "image", inputs["train"], vocabulary)
    if (mean is None or std is None) and spec.kind != "tokens":
        mean, std = statistics(inputs["train"])
    own = _with_validation_in_train(checked, list(of_parts))
    return ArrayDataset(
        name, own[f"train_{key}"], own["train_labels"], own[f"test_{key}"], own["test_labels"], classes, mean or (),
        std or (), content_hash(own), spec, own.get("train_groups"), own.get("test_groups"), validation_share, said,
        own.get(VALIDATION), held_out_within, tuple(group_names),
    )  # fmt: skip


def _splits(name: str, arrays: Arrays, keys: Sequence[str]) -> tuple[str, ...]:
    """The parts that there are: train and test, and validation if any array is of that."""
    splits = ("train", VALIDATION, "test") if any(k.startswith(f"{VALIDATION}_") for k in arrays) else SPLITS
    required = [f"{s}_{key}" for s in splits for key in keys]
    for key in required:
        if key not in arrays:
            raise RequestError(f"{name}: array {key!r} is missing; required are {', '.join(required)}")
    return splits


def _require_alike(name: str, inputs: Arrays) -> None:
    """RequestError for parts whose samples differ in shape or type."""
    for split, own in inputs.items():
        for what, first, second in (("shape", inputs["train"].shape[1:], own.shape[1:]),
                                    ("type", inputs["train"].dtype, own.dtype)):  # fmt: skip
            if first != second:
                raise RequestError(f"{name}: train and {split} samples differ in {what}: {first} and {second}")


def _require_one_unit(name: str, inputs: Arrays) -> None:
    """RequestError for pictures of floats whose parts have values of another order: only one of them was divided."""
    most = {
        split: max(float(np.nanmax(own, initial=0)), -float(np.nanmin(own, initial=0)))
        for split, own in inputs.items()
        if own.dtype.kind == "f"
    }
    for split, own in most.items():
        if 0 < UNLIKELY * min(own, most["train"]) <= max(own, most["train"]):
            raise RequestError(
                f"{name}: train and {split} images differ in scale: values up to {most['train']:g} and {own:g}; bring "
                "both to one"
            )


def _input_spec(kind: InputKind, inputs: np.ndarray, vocabulary: int) -> InputSpec:
    own = inputs.shape[1:]
    shape = (own[-1], *own[:-1]) if kind in ("image", "series") else own
    return InputSpec(kind, shape, vocabulary if kind == "tokens" else 0)


def _with_validation_in_train(arrays: dict[str, np.ndarray], keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Validation samples behind the training samples, and which these are; without such a part, the same arrays."""
    if f"{VALIDATION}_labels" not in arrays:
        return arrays
    parts = [len(arrays[f"{split}_labels"]) for split in ("train", VALIDATION)]
    found = {f"train_{key}": np.concatenate([arrays[f"train_{key}"], arrays[f"{VALIDATION}_{key}"]]) for key in keys}
    return {**found, **{f"test_{key}": arrays[f"test_{key}"] for key in keys},
            VALIDATION: np.repeat([False, True], parts)}  # fmt: skip


def _labels(
    name: str, arrays: Arrays, splits: Sequence[str], inputs: Arrays, classes: int | None
) -> tuple[list[np.ndarray], int, Sequence[str]]:
    """Labels of every part from 0, how many classes there are, and notes."""
    parts = _numbers(name, "labels", arrays, splits, inputs, classes)
    said = [note for split, own in zip(splits[1:], parts[1:], strict=True)
            for note in _check_coverage(name, parts[0], own, classes, split)]  # fmt: skip
    if classes is not None:
        return [part.astype(np.int64) for part in parts], classes, said
    labels, classes, note = renumbered("labels", *parts)
    return labels, classes, [*said, *note]


def _numbers(
    name: str, key: str, arrays: Arrays, splits: Sequence[str], inputs: Arrays, limit: int | None = None
) -> list[np.ndarray]:  # fmt: skip
    """The numbers ``<split>_<key>``, checked."""
    return [checked_numbers(name, f"{s}_{key}", arrays[f"{s}_{key}"], len(inputs[s]), limit) for s in splits]


def _check_coverage(name: str, train: np.ndarray, own: np.ndarray, classes: int | None, split: str) -> list[str]:
    """Notes on classes that are not in both parts; RequestError for one that only the other part has."""
    if len(unseen := np.setdiff1d(own, train)):
        raise RequestError(
            f"{name}: {split}_labels has class {unseen[0]} {counted(int((own == unseen[0]).sum()), 'time')} and "
            f"train_labels never ({counted(len(unseen), 'such class')}): give it training samples or take it out of "
            f"the {split} part"
        )
    found: list[str] = []
    if split != "test":
        return found
    if len(untested := np.setdiff1d(train, own)):
        found.append(f"{_some(untested)} of train_labels has no test sample")
    occurring = np.unique(train)
    if classes is not None and len(occurring) < classes:
        found.append(
            f"{classes - len(occurring)} of {classes} classes "
            f"{agreeing(classes - len(occurring), 'has', 'have')} no sample; clients are dealt the others"
        )
    if len(occurring) == 1:
        found.append("there is one class only, so that every prediction is right")
    return found


def _one_sided(groups: Sequence[np.ndarray], names: Sequence[str]) -> list[str]:
    """Notes on groups that are in one of training (with validation) and test only. ``groups``: by part, test last."""
    train, test = np.unique(np.concatenate(groups[:-1])), np.unique(groups[-1])
    number = len(np.union1d(train, test))
    found = list[str]()
    for what, lonely in (("no test sample", np.setdiff1d(train, test)),
                         ("test samples only", np.setdiff1d(test, train))):  # fmt: skip
        if len(lonely):
            listed = ", ".join(shown(str(names[k]), 30) if len(names) else str(k) for k in lonely[:5].tolist())
            found.append(
                f"{len(lonely)} of {counted(number, 'group')} {agreeing(len(lonely), 'has', 'have')} {what}: "
                f"{listed}{', ...' if len(lonely) > 5 else ''}"
            )
    return found


def _some(values: np.ndarray) -> str:
    listed = ", ".join(str(value) for value in values[:5])
    return f"class {listed}" + (f" and {len(values) - 5} more" if len(values) > 5 else "")
