"""Scoring clients: correct predictions and losses per client, and the statistics reported from them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench import metrics
from pfl_bench.client.backends import Backend
from pfl_bench.client.losses import check_value
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Tensors
from pfl_bench.client.requests import Served
from pfl_bench.data.pool import ImagePool

CHUNK_IMAGES = 8192


@dataclass(frozen=True)
class Scores:
    """Per client: correct predictions, samples, and mean cross-entropy. Arrays ``[clients]``."""

    correct: np.ndarray
    total: np.ndarray
    loss: np.ndarray

    @classmethod
    def joined(cls, parts: Sequence["Scores"], order: np.ndarray) -> "Scores":
        """Scores of several groups of clients, put into an order."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts])[order] for name in cls.__annotations__))

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

    pool: ImagePool
    indices: Tensor
    real: Tensor

    @classmethod
    def of(cls, pool: ImagePool, members: tuple[np.ndarray, ...]) -> "EvaluationSet":
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
) -> tuple[Tensor, Tensor]:
    """Correct predictions and summed losses ``[c]`` of stacked models ``[c, ...]`` on their clients' samples.

    A client's samples are always scored in one piece, so its figures do not depend on who else is scored.
    """
    correct, losses = [], []
    per_chunk = max(1, CHUNK_IMAGES // data.indices.shape[1])
    for start in range(0, len(clients), per_chunk):
        chosen = clients[start : start + per_chunk]
        x, y = data.pool.gather(data.indices[chosen])
        real = data.real[chosen]
        logits = backend.logits(model, _rows(served, slice(start, start + per_chunk)), x, real.float())
        if logits.shape != (*y.shape, model.classes):
            raise ValueError(f"predictions have shape {tuple(logits.shape[1:])} per client for {y.shape[1]} samples of "
                             f"{model.classes} classes")  # fmt: skip
        correct.append(((logits.argmax(-1) == y) & real).sum(1))
        loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
        losses.append((loss * real).sum(1))
    return torch.cat(correct), torch.cat(losses)


def _rows(served: Served, own: slice) -> Served:
    params, aux = (pytree.tree_map_only(Tensor, lambda leaf: leaf[own], tree) for tree in (served.params, served.aux))
    return Served(params, served.predict, aux)


def evaluate(model: ClientModel, backend: Backend, served: Served, data: EvaluationSet, clients: Tensor) -> Scores:
    """``score`` as NumPy arrays with the sample counts."""
    correct, losses = score(model, backend, served, data, clients)
    total = data.real[clients].sum(1).cpu().numpy()
    return Scores(correct.cpu().numpy(), total, losses.double().cpu().numpy() / total)


def as_served(found: Served | Tensors) -> Served:
    """What an evaluation hook returned, with its prediction checked to be a value."""
    served = found if isinstance(found, Served) else Served(found)
    if served.predict is not None:
        check_value("predict", served.predict)
    return served
