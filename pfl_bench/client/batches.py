"""Batches: what a loss sees, and which samples each step uses, drawn up front from each client's own stream."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from torch import Tensor

BatchMode = Literal["fresh", "epoch"]


class Batch(NamedTuple):
    """Samples ``x`` ``[B, ...]``, labels ``y`` ``[B]`` and weights ``[B]``: 1 for a sample, 0 for padding.

    ``noise``: for models that draw random numbers in training (dropout), a seed per sample, int64 ``[B]``.
    """

    x: Tensor
    y: Tensor
    weight: Tensor
    noise: Tensor | None = None


@dataclass(frozen=True)
class BatchPlan:
    """Which samples each step of a cohort of c clients uses.

    ``indices`` int64 ``[c, steps, draws, B]`` into the training pool, padded by repeating valid ones; ``sizes``, an
    array ``[c, steps, draws]`` on the host: how many of the B are real. ``noise``: as ``indices``, where the client
    model needs seeds. ``taken``: an array ``[c]`` on the host, how many of the steps each client takes; None: all.
    """

    indices: Tensor
    sizes: np.ndarray
    noise: Tensor | None = None
    taken: np.ndarray | None = None

    @property
    def clients(self) -> int:
        """Number of clients."""
        return self.indices.shape[0]

    @property
    def steps(self) -> int:
        """Number of local steps, of the client that takes most."""
        return self.indices.shape[1]

    @property
    def draws(self) -> int:
        """Number of batches of a step."""
        return self.indices.shape[2]

    def steps_of(self, position: int) -> int:
        """Number of steps of the client at a position of the cohort."""
        return self.steps if self.taken is None else int(self.taken[position])


def plan_batches(
    members: np.ndarray, steps: int, draws: int, batch_size: int, mode: BatchMode, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw one client's batches: indices ``[steps, draws, B]`` and sizes ``[steps, draws]``.

    ``fresh``: each batch is drawn anew without replacement. ``epoch``: shuffled passes; the last batch of a
    pass may be short and is used all the same. A client with fewer than B samples uses all it has. Fewer steps are a
    prefix of more.
    """
    wanted, size = steps * draws, min(batch_size, len(members))
    if mode == "fresh":
        order = np.argsort(rng.random((wanted, len(members))), axis=1, kind="stable")[:, :size]
        sizes = np.full(wanted, size)
    else:
        per_pass = -(-len(members) // size)
        passes = -(-wanted // per_pass)
        order = np.argsort(rng.random((passes, len(members))), axis=1, kind="stable")
        order = np.pad(order, ((0, 0), (0, per_pass * size - len(members))), mode="edge").reshape(-1, size)[:wanted]
        sizes = np.tile(np.minimum(size, len(members) - size * np.arange(per_pass)), passes)[:wanted]
    indices = members[order]
    if size < batch_size:
        indices = np.pad(indices, ((0, 0), (0, batch_size - size)), mode="edge")
    return indices.reshape(steps, draws, batch_size), sizes.reshape(steps, draws)


def plan_all(members: tuple[np.ndarray, ...], chunk: int) -> tuple[np.ndarray, np.ndarray]:
    """Every sample of every client once, in order: indices ``[c, chunks, B]`` and sizes ``[c, chunks]``, 0 for none."""
    width = min(chunk, max(len(own) for own in members))
    chunks = -(-max(len(own) for own in members) // width)
    indices = np.stack([np.pad(own, (0, chunks * width - len(own)), mode="edge") for own in members])
    lengths = np.asarray([len(own) for own in members])[:, None]
    return indices.reshape(len(members), chunks, width), np.clip(lengths - width * np.arange(chunks), 0, width)
