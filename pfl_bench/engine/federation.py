"""What a method sees of the world: clients it can send to, train and collect from. No test data in reach."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.backends import Backend
from pfl_bench.client.backends.cuda_graphs import Recordings
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors, plain, stacked, zeros_like
from pfl_bench.client.training import (
    BatchMode,
    BatchPlan,
    GradientRule,
    Loss,
    Sgd,
    Trained,
    TrainRequest,
    cross_entropy,
    plan_batches,
)
from pfl_bench.data.pool import ImagePool, on_device
from pfl_bench.errors import UnsuitedError
from pfl_bench.seeds import numpy_generator

from .costs import Costs

Phase = Literal["train", "evaluate", "enroll"]


@dataclass(frozen=True)
class Cohort:
    """Client ids on the device and, so that nobody has to wait for the device, on the host."""

    clients: Tensor
    ids: list[int]

    @classmethod
    def of(cls, ids: np.ndarray, device: torch.device) -> "Cohort":
        """Put ids on a device."""
        return cls(on_device(torch.from_numpy(ids), device), ids.tolist())


@dataclass(frozen=True)
class Federation:
    """The training clients of one run that share a client model, numbered ``0..clients-1``.

    ``members[i]`` are client i's training samples in the pool. ``progress`` is the share of the budget spent
    before this round. ``costs`` is the meter; only in phase ``train`` traffic is metered. ``cohort`` is the
    engine's draw for this round. ``sizes``: training samples per client, float32 ``[clients]``.

    Where the scenario has several client models, each has a federation of its own: ``models`` are all of them,
    ``numbers`` say which of all ``population`` training clients these are.
    """

    model: ClientModel
    backend: Backend
    pool: ImagePool
    members: tuple[np.ndarray, ...]
    classes: int
    seed: int
    local_steps: int
    batch_size: int
    batch_mode: BatchMode
    costs: Costs = field(default_factory=Costs)
    round: int = 0
    progress: float = 0.0
    phase: Phase = "train"
    cohort: Cohort | None = None
    models: tuple[ClientModel, ...] = ()
    numbers: tuple[int, ...] = ()
    population: int = 0
    recordings: Recordings = field(default_factory=Recordings)
    sizes: Tensor = field(init=False)

    def __post_init__(self) -> None:
        lengths = torch.tensor([float(len(own)) for own in self.members])
        object.__setattr__(self, "sizes", on_device(lengths, self.device))
        if not self.numbers:
            object.__setattr__(self, "numbers", tuple(range(len(self.members))))
            object.__setattr__(self, "population", len(self.members))
        if not self.models:
            object.__setattr__(self, "models", (self.model,))

    @property
    def clients(self) -> int:
        """Number of training clients."""
        return len(self.members)

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self.pool.images.device

    @property
    def everyone(self) -> Tensor:
        """Ids of all training clients, ``[clients]``."""
        return torch.arange(self.clients, device=self.device)

    def at(self, round: int, progress: float, phase: Phase, costs: Costs, cohort: Cohort | None = None) -> "Federation":
        """The same federation at another point of a run, with that run's meter."""
        return replace(self, round=round, progress=progress, phase=phase, costs=costs, cohort=cohort)

    def generator(self, *coordinates: int | str) -> np.random.Generator:
        """Random numbers for the method's own use; its stream touches no other."""
        return numpy_generator(self.seed, "method", *coordinates)

    def init_params(self) -> Params:
        """Initial client-model weights: the same for every method at the same seed."""
        return self.model.init(self.seed, self.device)

    def replayed(self, name: str, work: Callable[[Any, Any], Any], held: Any, inputs: Any) -> Any:
        """``work(held, inputs)``; on a GPU it is recorded once as a CUDA graph and replayed from then on.

        For server-side work that recurs every round. ``held``: tensors that ``work`` uses and changes in place.
        ``inputs``: trees of tensors of the same shapes each time; so is what ``work`` returns. Nothing else may
        matter to ``work`` that changes between rounds.
        """
        if self.device.type != "cuda":
            return work(held, inputs)
        return self.recordings.run(name, work, held, inputs, self.device)

    def per_client(self, params: Tensors) -> Params:
        """A copy of shared parameters for every client: ``[...] -> [clients, ...]``."""
        return stacked(params, self.clients).map(torch.clone)

    def split(self, params: Params, top_layers: int | None = None) -> tuple[Params, Params]:
        """Cut into body and head; ``top_layers`` makes the head the last so many layers (0: none)."""
        head = self.model.head if top_layers is None else self.model.top(top_layers)
        return params.without(head), params.only(head)

    def among_all(self, clients: Tensor) -> Tensor:
        """These clients' numbers among all training clients of the scenario, int64 ``[c]``."""
        if len(self.models) == 1:
            return clients
        return on_device(torch.tensor(self.numbers), self.device)[clients]

    def send(self, params: Tensors, cohort: Tensor) -> Params:
        """Send shared parameters to every client of a cohort: ``[...] -> [c, ...]``. Metered."""
        return self.send_each(stacked(params, len(cohort)))

    def send_each(self, params: Tensors) -> Params:
        """Send each client of a cohort its own parameters, ``[c, ...]``. Metered."""
        if self.phase == "train":
            self.costs.bytes_down += _bytes(params)
        return Params(params)

    def collect(self, params: Tensors) -> Params:
        """Collect what the clients of a cohort upload, ``[c, ...]``. Metered."""
        if self.phase == "train":
            self.costs.bytes_up += _bytes(params)
        return Params(params)

    def average(self, params: Tensors, cohort: Tensor, weights: Literal["samples", "uniform"] = "samples") -> Params:
        """Mean over a cohort, ``[c, ...] -> [...]``, weighted by training samples or equally."""
        share = self.sizes[cohort] if weights == "samples" else torch.ones(len(cohort), device=self.device)
        share = share / share.sum()
        return Params({name: torch.tensordot(share, tensor, dims=1) for name, tensor in params.items()})

    def train_and_average(
        self, shared: Tensors, cohort: Tensor, sgd: Sgd, *, weights: Literal["samples", "uniform"] = "samples",
        **request: Any,
    ) -> Params:  # fmt: skip
        """One round of federated averaging: send, train (arguments as for ``train``), collect, average."""
        trained = self.train(self.send(shared, cohort), cohort, sgd, **request)
        return self.average(self.collect(trained.params), cohort, weights)

    def train(
        self,
        params: Params,
        cohort: Tensor,
        sgd: Sgd,
        *,
        steps: int | None = None,
        loss: Loss = cross_entropy,
        aux: Any = None,
        rule: GradientRule | None = None,
        memory: Any = None,
        draws: int = 1,
        gradients_per_step: int = 1,
        trainable: frozenset[str] | None = None,
        momentum: Params | None = None,
        stream: str = "batches",
    ) -> Trained:
        """Train a cohort locally from stacked parameters ``[c, ...]``.

        ``steps``: default, as many as the visit's allowance of ``local_steps`` mini-batch gradients affords.
        ``draws``: independent batches per step, for rules that need several. ``gradients_per_step``: what one
        step of the rule costs. ``momentum``: buffers to carry on from; missing names start at zero.
        ``stream``: requests with the same stream in the same round see the same batches.
        """
        if steps is None:
            steps = self.local_steps // gradients_per_step
            if steps < 1:
                raise UnsuitedError(
                    f"local_steps={self.local_steps} is too few: one step of this method takes "
                    f"{gradients_per_step} mini-batch gradients"
                )
        names = tuple(name for name in params if trainable is None or name in trainable)
        plan = self._plan(cohort, steps, draws, stream)
        request = TrainRequest(
            params=params,
            plan=plan,
            sgd=sgd,
            loss=loss,
            rule=rule,
            trainable=names,
            aux=plain(aux),
            memory=plain(memory),
            momentum=zeros_like(params.only(names)) | (momentum or {}),
        )
        self._count(plan, gradients_per_step)
        if not names:
            return Trained(params, request.momentum, memory)
        return self.backend.train(self.model, self.pool, request)

    def _plan(self, cohort: Tensor, steps: int, draws: int, stream: str) -> BatchPlan:
        each = [
            plan_batches(
                self.members[client],
                steps,
                draws,
                self.batch_size,
                self.batch_mode,
                numpy_generator(self.seed, self.phase, stream, self.numbers[client], self.round),
            )
            for client in self._ids(cohort)
        ]
        indices, sizes = (np.stack(column) for column in zip(*each, strict=True))
        return BatchPlan(on_device(torch.from_numpy(indices), self.device), sizes)

    def _ids(self, clients: Tensor) -> list[int]:
        if self.cohort is not None and clients is self.cohort.clients:
            return self.cohort.ids
        return [int(client) for client in clients.tolist()]

    def _count(self, plan: BatchPlan, gradients_per_step: int) -> None:
        gradients = plan.indices.shape[0] * plan.steps * gradients_per_step
        if self.phase != "train":
            self.costs.adapt_steps += gradients
            return
        self.costs.local_steps += gradients
        self.costs.samples += round(float(plan.sizes.mean()) * gradients)


def _bytes(params: Tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in params.values())
