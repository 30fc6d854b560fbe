"""Scoring clients: correct predictions and losses per client, and the statistics reported from them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench import metrics
from pfl_bench.client.backends import Backend
from pfl_bench.client.losses import check_value
from pfl_bench.client.model import ClientModel
from pfl_bench.client.requests import Served
from pfl_bench.data.pool import Pool

CHUNK_IMAGES = 8192


@dataclass(frozen=True)
class Scores:
    """Per client: correct predictions, samples, mean cross-entropy, arrays ``[clients]``, and what metrics tally
    (``sums``), ``[clients, ...]`` or summed over clients, ``[1, ...]``.
    """

    correct: np.ndarray
    total: np.ndarray
    loss: np.ndarray
    sums: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def joined(cls, parts: Sequence["Scores"], order: np.ndarray) -> "Scores":
        """Scores of several groups of clients, put into an order."""

        def together(get: Callable[[Scores], np.ndarray]) -> np.ndarray:
            return np.concatenate([get(part) for part in parts])[order]

        sums = {key: together(lambda part, key=key: part.sums[key]) for key in parts[0].sums}  # type: ignore[misc]
        return cls(together(lambda p: p.correct), together(lambda p: p.total), together(lambda p: p.loss), sums)

    @property
    def totals(self) -> dict[str, np.ndarray]:
        """What metrics tally, summed over clients, ``[1, ...]``: all that their figures take."""
        return {key: values.sum(axis=0, keepdims=True) for key, values in self.sums.items()}

    @property
    def accuracies(self) -> np.ndarray:
        """Accuracy per client, in percent."""
        return metrics.accuracies(self)

    def summary(self) -> dict[str, float]:
        """The figures of ``pfl_bench.metrics.METRICS``: ``accuracy`` pools all samples, the others are over clients."""
        return metrics.summarise(self)


@dataclass(frozen=True)
class EvaluationSet:
    """One split: a pool of images and each client's samples, padded to ``[clients, longest]``; ``real`` marks them."""

    pool: Pool
    indices: Tensor
    real: Tensor

    @classmethod
    def of(cls, pool: Pool, members: tuple[np.ndarray, ...]) -> "EvaluationSet":
        """Pad the clients' index arrays."""
        longest = max(len(own) for own in members)
        padded = np.stack([np.pad(own, (0, longest - len(own)), mode="edge") for own in members])
        lengths = np.asarray([len(own) for own in members])
        device = pool.device
        real = torch.from_numpy(np.arange(longest) < lengths[:, None]).to(device)
        return cls(pool, torch.from_numpy(padded).to(device), real)


@torch.no_grad()
def score(
    model: ClientModel, backend: Backend, served: Served, data: EvaluationSet, clients: Tensor
) -> dict[str, Tensor]:
    """Of stacked models ``[c, ...]`` on their clients' samples: ``correct`` predictions and summed ``loss``, ``[c]``,
    and what other metrics tally, ``[c, ...]``.

    A client's samples are always scored in one piece, so its figures do not depend on who else is scored.
    """
    found: list[dict[str, Tensor]] = []
    per_chunk = max(1, CHUNK_IMAGES // data.indices.shape[1])
    for start in range(0, len(clients), per_chunk):
        chosen = clients[start : start + per_chunk]
        x, y = data.pool.gather(data.indices[chosen])
        real = data.real[chosen]
        logits = backend.logits(model, _rows(served, slice(start, start + per_chunk)), x, real.float())
        if logits.shape != (*y.shape, model.classes):
            name = getattr(served.predict, "__name__", type(served.predict).__name__)
            raise ValueError(f"predict={name} gave shape {tuple(logits.shape[1:])} for {y.shape[1]} samples of "
                             f"{model.classes} classes; it must be {(y.shape[1], model.classes)}")  # fmt: skip
        found.append(_tallies(logits, y, real))
    return {key: torch.cat([part[key] for part in found]) for key in found[0]}


def _tallies(logits: Tensor, y: Tensor, real: Tensor) -> dict[str, Tensor]:
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
    own = {tally.key: tally.of(logits, y, real) for tally in metrics.tallies()}
    return {**own, "correct": ((logits.argmax(-1) == y) & real).sum(1), "loss": (loss * real).sum(1)}


def _rows(served: Served, own: slice) -> Served:
    params, aux = (pytree.tree_map_only(Tensor, lambda leaf: leaf[own], tree) for tree in (served.params, served.aux))
    return Served(params, served.predict, aux)


def evaluate(model: ClientModel, backend: Backend, served: Served, data: EvaluationSet, clients: Tensor) -> Scores:
    """``score`` as NumPy arrays with the sample counts."""
    found = score(model, backend, served, data, clients)
    total = data.real[clients].sum(1).cpu().numpy()
    correct, losses = found.pop("correct").cpu().numpy(), found.pop("loss").cpu().double().numpy()
    return Scores(correct, total, losses / total, {key: values.cpu().double().numpy() for key, values in found.items()})


def as_served(found: Any, hook: str = "an evaluation hook") -> Served:
    """What an evaluation hook returned, with its prediction checked to be a value. TypeError for anything else."""
    if not isinstance(found, Served | Mapping):
        raise TypeError(f"{hook} returned {type(found).__name__}; it must return parameters or Served")
    served = found if isinstance(found, Served) else Served(found)
    if served.predict is not None:
        check_value("predict", served.predict)
    return served


def checked(served: Served, model: ClientModel, clients: int, hook: str) -> Served:
    """The same, if its parameters are the client model's, one row per client; ValueError else.

    With a prediction of its own, only the rows are looked at.
    """
    if served.predict is None and served.params.keys() != model.names:
        raise ValueError(f"{hook} returned the wrong parameters: {model.amiss(served.params, model.names)}")
    for name, tensor in served.params.items():
        rows = tensor.shape[0] if tensor.dim() else 0
        shape = model.tensor_shapes.get(name)
        if rows != clients or (served.predict is None and tensor.shape[1:] != shape):
            wanted = (clients, *(shape or tensor.shape[1:]))
            raise ValueError(f"{hook} returned {name} of shape {tuple(tensor.shape)}; it must be {tuple(wanted)}, "
                             "a row for each of the clients asked for (fed.send, PerClient.rows)")  # fmt: skip
    return served
