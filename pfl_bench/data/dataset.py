"""A data set as arrays: what a source must deliver."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pfl_bench.errors import RequestError, shown

from .inputs import InputSpec
from .standardise import Figures

Arrays = Mapping[str, np.ndarray]
Within = Literal["classes", "groups"]


@dataclass(frozen=True)
class ArrayDataset:
    """One data source in memory.

    ``train_inputs``, ``test_inputs``: images ``[N, height, width, channels]`` uint8 or float32, a table
    ``[N, features]`` and series ``[N, time, channels]`` float32, tokens ``[N, length]`` uint8 or int32; ``input`` says
    which, and what a client model receives. Labels are int64 in ``[0, classes)``; groups, where the source has natural
    ones (writers, alphabets, super-classes), int64 in ``[0, number of groups)``.
    ``mean`` and ``std`` are per channel or feature, of uint8 images on pixels scaled to [0, 1], of floats in their own
    unit; tokens have none. The partitioner holds ``validation_share`` of every class of the training samples (or, with
    ``held_out_within="groups"``, of every group) back for validation, unless the source says which samples validate:
    ``validation``, bool ``[N]`` over the training samples. ``group_names``: what the user calls the groups, where that
    is not their number. ``notes`` are what the user should know of how the source
    was read; whoever loads it for him prints them.
    """

    name: str
    train_inputs: np.ndarray
    train_labels: np.ndarray
    test_inputs: np.ndarray
    test_labels: np.ndarray
    classes: int
    mean: Figures
    std: Figures
    sha256: str
    input: InputSpec
    train_groups: np.ndarray | None = None
    test_groups: np.ndarray | None = None
    validation_share: float = 0.2
    notes: tuple[str, ...] = ()
    validation: np.ndarray | None = None
    held_out_within: Within = "classes"
    group_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """RequestError for arrays that would be misread: of another type or shape than ``input`` says."""
        channels_first = {"image": (-1, 0, 1), "series": (-1, 0)}.get(self.input.kind)
        for part, inputs in (("train", self.train_inputs), ("test", self.test_inputs)):
            types = {"image": ("u1", "f4"), "tokens": ("u1", "i4")}.get(self.input.kind, ("f4",))
            own = inputs.shape[1:]
            seen = own if channels_first is None or len(own) < len(channels_first) else [own[i] for i in channels_first]
            if inputs.dtype not in [np.dtype(each) for each in types] or tuple(seen) != self.input.shape:
                raise RequestError(
                    f"{self.name}: {part}_inputs are {inputs.dtype} {inputs.shape}, which are no {self.input}; "
                    "make_dataset brings arrays into the right form"
                )
        figures = 0 if self.input.kind == "tokens" else self.train_inputs.shape[-1]
        if len(self.mean) != figures or len(self.std) != figures:
            raise RequestError(f"{self.name}: {len(self.mean)} means and {len(self.std)} deviations for {figures}")

    def groups_called(self, groups: np.ndarray, most: int = 5) -> str:
        """Groups by their names, for a message: the first ``most`` of them."""
        names = [self.group_names[k] if self.group_names else str(k) for k in groups[:most].tolist()]
        return ", ".join(name if name.isdecimal() else shown(name, 30) for name in names) + (
            ", ..." if len(groups) > most else ""
        )

    @property
    def facts(self) -> dict[str, Any]:
        """What no array holds and numbers depend on all the same, as JSON would have it. What came later is among them
        where it is not as it always was."""
        found: dict[str, Any] = {"classes": self.classes, "mean": list(self.mean), "std": list(self.std),
                                 "validation_share": self.validation_share}  # fmt: skip
        if len(self.mean) > MOST_FIGURES:
            found |= {key: f"SHA-256 {_digest(getattr(self, key))}" for key in ("mean", "std")}
        if self.input.kind != "image":
            found["input"] = {"kind": self.input.kind, "vocabulary": self.input.vocabulary}
        if self.held_out_within != "classes":
            found["held_out_within"] = self.held_out_within
        return found

    @property
    def input_shape(self) -> tuple[int, ...]:
        """What a client model receives of a sample: channels, height, width of an image."""
        return self.input.shape


MOST_FIGURES = 16
"""Means that are recorded one by one; of more, their hash."""


def _digest(figures: Figures) -> str:
    return hashlib.sha256(np.asarray(figures, dtype="<f8").tobytes()).hexdigest()


def content_hash(arrays: Arrays) -> str:
    """SHA-256 over names, types, shapes and bytes of the arrays, in the order of their names."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
