"""Shifts: what groups of clients see differently, as transformations of a copy of the arrays.

A shift rule is a pure function that returns one transformation per group of clients. Every sample belongs to one client
at most, so that after the partition is known each client's samples, or labels, can be rewritten in place: whatever
reads the arrays later sees them shifted. Standardisation stays the source's.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from pfl_bench.errors import RequestError, placed, shown
from pfl_bench.registry import SHIFTS
from pfl_bench.seeds import numpy_generator
from pfl_bench.spec.fields import read_fields
from pfl_bench.spec.heterogeneity import ShiftSpec

from .dataset import ArrayDataset
from .inputs import InputKind, InputSpec
from .partition import SPLITS, Partition
from .standardise import Figures

Transformation = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""``change(values, rng)``: one client's samples of one split as ``ArrayDataset`` keeps them, ``[n, ...]``, or its
labels ``[n]``, to as many of the same type and shape. ``rng`` is that client's and split's own."""


class ShiftConfig(BaseModel):
    """Base of a shift's parameters: immutable, unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class ShiftContext:
    """What a shift may know of the data. ``unit``: what 1 of ``mean`` and ``std`` is in the arrays, 255 for uint8."""

    input: InputSpec
    classes: int
    mean: Figures
    std: Figures
    unit: float


ShiftFunction = Callable[[Any, ShiftContext, int, np.random.Generator], Sequence[Transformation | None]]


@dataclass(frozen=True)
class Shift:
    """A shift rule: its parameters, what it changes, of which kinds of input (none: of any), and its pure function.

    ``make(config, context, groups, rng)`` returns a transformation for each group, None where it leaves all as it is.
    """

    config: type[ShiftConfig]
    of: Literal["inputs", "labels"]
    kinds: tuple[InputKind, ...]
    make: ShiftFunction


def register_shift(
    name: str, *, config: type[ShiftConfig], of: Literal["inputs", "labels"], inputs: tuple[InputKind, ...] = (),
    **info: str,
) -> Callable[[ShiftFunction], Shift]:  # fmt: skip
    """Register a function as the shift ``name``; ``inputs`` are the kinds of data that it is for, by default all."""

    def enter(make: ShiftFunction) -> Shift:
        return SHIFTS.register(name, origin=make.__module__, **info)(Shift(config, of, inputs, make))

    return enter


def deal_groups(specs: Sequence[ShiftSpec], dataset: ArrayDataset, partition: Partition, seed: int) -> Partition:
    """The partition with the clients' group in each shift; RequestError where there are too few clients for them."""
    return replace(partition, groups=tuple(_dealt(spec, dataset, partition, seed) for spec in specs))


def _dealt(spec: ShiftSpec, dataset: ArrayDataset, partition: Partition, seed: int) -> np.ndarray:
    if spec.groups == "natural":
        natural = partition.natural_groups(dataset)
        if natural is None:
            raise RequestError(f"shift {spec.rule}: groups='natural', but {dataset.name} has no natural groups")
        return np.unique(natural, return_inverse=True)[1].astype(np.int64)
    training = partition.clients - partition.novel
    if spec.groups > training:
        raise RequestError(f"shift {spec.rule}: groups={spec.groups} for {training} training clients; use fewer groups")
    parts = []
    for who, clients in (("training", training), ("novel", partition.novel)):
        rng = numpy_generator(seed, "shift", "groups", spec.groups, spec.deal, who)
        parts.append(rng.permutation(np.arange(clients, dtype=np.int64) % spec.groups))
    return np.concatenate(parts)


def shifted(dataset: ArrayDataset, partition: Partition, specs: Sequence[ShiftSpec], seed: int) -> ArrayDataset:
    """The data set as the clients of a partition see it: itself without shifts, else with copies of what they change.

    The shifts act one after another. ``sha256`` stays the source's: what was done to it is in the scenario and in the
    partition's hash. ValueError for a partition whose groups are not those of these shifts.
    """
    if len(partition.groups) != len(specs):
        raise ValueError(f"the partition has groups of {len(partition.groups)} shifts, the scenario {len(specs)}")
    arrays: dict[str, np.ndarray] = {}
    for position, (spec, groups) in enumerate(zip(specs, partition.groups, strict=True)):
        of = SHIFTS.get(spec.rule).of
        changes = transformations(spec, position, int(groups.max()) + 1, dataset, seed)
        for key in (f"train_{of}", f"test_{of}"):
            arrays.setdefault(key, getattr(dataset, key).copy())
        for client in np.flatnonzero([changes[group] is not None for group in groups]):
            for split in SPLITS:
                own, values = (
                    getattr(partition, split)[client],
                    arrays[f"{'test' if split == 'test' else 'train'}_{of}"],
                )
                rng = numpy_generator(seed, "shift", position, spec.rule, split, int(client))
                values[own] = changed(spec, changes[groups[client]], values[own], rng)
                if of == "inputs":
                    _check_size(spec, values[own], dataset)
    return replace(dataset, **arrays) if arrays else dataset  # type: ignore[arg-type]


def transformations(
    spec: ShiftSpec, position: int, groups: int, dataset: ArrayDataset, seed: int
) -> Sequence[Transformation | None]:
    """One per group. RequestError for parameters that are wrong, and for data of a kind that the rule is not for."""
    shift: Shift = SHIFTS.get(spec.rule)
    config = read_fields(shift.config, spec.parameters, f"shift {spec.rule}: ")
    if shift.kinds and dataset.input.kind not in shift.kinds:
        raise RequestError(f"shift {spec.rule} is for {' and '.join(shift.kinds)}; {dataset.name} has {dataset.input}")
    unit = 255.0 if dataset.train_inputs.dtype == np.uint8 else 1.0
    context = ShiftContext(dataset.input, dataset.classes, dataset.mean, dataset.std, unit)
    found = shift.make(config, context, groups, numpy_generator(seed, "shift", position, spec.rule))
    if len(found) != groups:
        raise RequestError(f"shift {spec.rule} gave {len(found)} transformations for {groups} groups")
    return found


def try_shifts(dataset: ArrayDataset, partition: Partition, specs: Sequence[ShiftSpec], seed: int) -> None:
    """Apply every shift to one client of each group, so that what does not go together ends before anything runs."""
    some: set[int] = set()
    for groups in partition.groups:
        some |= set(np.unique(groups, return_index=True)[1].tolist())
    few = sorted(some)
    train, validation, test = (tuple(getattr(partition, split)[client] for client in few) for split in SPLITS)
    groups_of_few = tuple(groups[few] for groups in partition.groups)
    with foreign(specs):
        shifted(dataset, Partition(train, validation, test, groups=groups_of_few), specs, seed)


@contextmanager
def foreign(specs: Sequence[ShiftSpec]) -> Iterator[None]:
    """Whatever a rule raises is a RequestError that says where: it may be anybody's."""
    try:
        yield
    except RequestError:
        raise
    except Exception as error:
        origins = [SHIFTS.entry(spec.rule).origin for spec in specs]
        raise RequestError(f"shift {', '.join(spec.rule for spec in specs)}: {placed(error, origins, [])}") from error


def changed(spec: ShiftSpec, change: Transformation, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What a transformation makes of a client's samples or labels; RequestError where type or shape are others."""
    with np.errstate(over="ignore", invalid="ignore"):  # told by what comes of it
        found = change(values, rng)
    if not isinstance(found, np.ndarray) or found.shape != values.shape or found.dtype != values.dtype:
        was = f"{found.dtype} {found.shape}" if isinstance(found, np.ndarray) else type(found).__name__
        raise RequestError(f"shift {spec.rule} made {was} of {values.dtype} {values.shape}; type and shape must stay")
    return found


FURTHEST = 1e6
"""Standard deviations between a shifted value and the data's mean: beyond, losses are no numbers any more."""


def _check_size(spec: ShiftSpec, values: np.ndarray, dataset: ArrayDataset) -> None:
    """RequestError for figures that no client model can be trained on."""
    if values.dtype.kind != "f" or not len(values):
        return
    mean, std = np.asarray(dataset.mean), np.asarray(dataset.std)
    furthest = float(np.max(np.abs(values - mean) / std, initial=0.0))
    if not furthest <= FURTHEST:  # NaN is not
        asked = "".join(f", {name}={shown(value)}" for name, value in spec.parameters.items())
        raise RequestError(
            f"shift {spec.rule}{asked}: values of {dataset.name} come to lie {furthest:.3g} standard deviations from "
            f"their mean; at most {FURTHEST:g} can be trained on"
        )


def in_type(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Figures in the type of the arrays: of uint8 rounded, and cut at 0 and 255."""
    if like.dtype == np.uint8:
        values = np.clip(np.rint(values), 0, 255)
    return values.astype(like.dtype)
