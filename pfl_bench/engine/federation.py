"""What a method sees of the world: clients it can send to, train, compute on and collect from; never their data."""

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.losses import GradientRule, Loss, check_value, cross_entropy
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, Tensors, plain, stacked, zeros_like
from pfl_bench.client.requests import ComputeRequest, Function, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.pool import on_device
from pfl_bench.errors import UnsuitedError
from pfl_bench.seeds import numpy_generator

from .clients import ClientGroup, client_ids
from .meter import STREAM, TRAINING, BudgetError, Costs, Phase
from .per_client import PerClient


class Federation:
    """The training clients of one run that share a client model, numbered ``0..clients-1``, at one point of the run.

    ``phase``: ``init`` and ``train`` (a round) spend the budget; ``adapt`` and ``enroll`` have an allowance of their
    own; in ``evaluate`` nothing may train. ``local_steps``: the mini-batch gradients that each client may spend in this
    phase. ``progress``: the share of the budget spent before this round. ``costs``: a copy of the meter.
    """

    __slots__ = ("_group", "_meter", "local_steps", "phase", "progress", "round")

    phase: Phase
    local_steps: int
    round: int
    progress: float

    def __init__(
        self, group: ClientGroup, meter: Costs, phase: Phase, local_steps: int, round: int = 0, progress: float = 0.0
    ) -> None:
        self._group, self._meter = group, meter
        for name, value in (("phase", phase), ("local_steps", local_steps), ("round", round), ("progress", progress)):
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        if hasattr(self, name):
            raise AttributeError(f"a federation is read-only; {name!r} cannot be set")
        object.__setattr__(self, name, value)

    # What is known of the clients

    @property
    def model(self) -> ClientModel:
        """The client model."""
        return self._group.model

    @property
    def models(self) -> tuple[ClientModel, ...]:
        """The client models of the scenario; this federation's is one of them."""
        return self._group.models

    @property
    def clients(self) -> int:
        """Number of training clients."""
        return len(self._group.members)

    @property
    def population(self) -> int:
        """Number of training clients of the scenario, whatever their model."""
        return self._group.population

    @property
    def everyone(self) -> Tensor:
        """Ids of all training clients, int64 ``[clients]``."""
        return client_ids(np.arange(self.clients), self.device)

    @property
    def sizes(self) -> Tensor:
        """Training samples per client, float32 ``[clients]``."""
        return self._group.sizes

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self._group.classes

    @property
    def class_counts(self) -> Tensor:
        """Training samples per client and class, float32 ``[clients, classes]``: what each client knows of itself.

        A server that uses it must ``collect`` it.
        """
        return self._group.class_counts

    @property
    def device(self) -> torch.device:
        """Where tensors live."""
        return self._group.device

    @property
    def costs(self) -> Costs:
        """What the run has cost so far."""
        return self._meter.copy()

    def among_all(self, clients: Tensor) -> Tensor:
        """These clients' numbers among all training clients of the scenario, int64 ``[c]``."""
        if len(self.models) == 1:
            return clients
        return on_device(torch.tensor(self._group.numbers), self.device)[clients]

    def part(self, share: float) -> tuple["Federation", "Federation"]:
        """The same clients twice: with the rest of their training samples, and with the ``share`` that is held out.

        The cut is fixed by the run's seed; each part has at least one sample (a client's only one is in both).
        """
        if not 0 < share < 1:
            raise ValueError(f"share={share!r} must be above 0 and below 1")
        return self._like(self._group.part(share)[0]), self._like(self._group.part(share)[1])

    def _like(self, group: ClientGroup) -> "Federation":
        return Federation(group, self._meter, self.phase, self.local_steps, self.round, self.progress)

    # Parameters and state

    def generator(self, *coordinates: int | str) -> np.random.Generator:
        """Random numbers for the method's own use; its stream touches no other."""
        return numpy_generator(self._group.seed, "method", *coordinates)

    def init_params(self, model: ClientModel | None = None) -> Params:
        """Initial weights and buffers of the client model, or of another of ``models``: equal for all methods."""
        return (model or self.model).init(self._group.seed, self.device)

    def per_client(self, default: Tensors) -> PerClient:
        """Personal state that starts from ``default``, ``[...]``, for every client."""
        return PerClient(default, self.clients, on_disk=self._group.on_disk)

    def split(self, params: Params, top_layers: int | None = None) -> tuple[Params, Params]:
        """Cut into body and head; ``top_layers`` makes the head the last so many layers (0: none)."""
        head = self.model.head if top_layers is None else self.model.top(top_layers)
        return params.without(head), params.only(head)

    def replayed(self, name: str, work: Callable[[Any, Any], Any], held: Any, inputs: Any) -> Any:
        """``work(held, inputs)``; on a GPU it is recorded once as a CUDA graph and replayed from then on.

        For server-side work that recurs every round. ``held``: tensors that ``work`` uses and changes in place.
        ``inputs``: trees of tensors of the same shapes each time; so is what ``work`` returns. Nothing else may
        matter to ``work`` that changes between rounds.
        """
        if self.device.type != "cuda":
            return work(held, inputs)
        return self._group.recordings.run(name, work, held, inputs, self.device)

    # What crosses the border between server and clients

    def send(self, params: Tensors, cohort: Tensor) -> Params:
        """Send shared parameters to every client of a cohort: ``[...] -> [c, ...]``, copies. Metered."""
        return self.send_each(stacked(params, len(cohort)))

    def send_each(self, params: Tensors) -> Params:
        """Send each client of a cohort its own parameters, ``[c, ...]``, copies. Metered."""
        if self.phase in TRAINING:
            self._meter.bytes_down += _bytes(params)
        return Params({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in params.items()})

    def collect(self, params: Tensors) -> Params:
        """Collect what the clients of a cohort upload, ``[c, ...]``. Metered."""
        if self.phase in TRAINING:
            self._meter.bytes_up += _bytes(params)
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

    # What touches the clients' data

    def train(
        self,
        params: Params,
        cohort: Tensor,
        sgd: Sgd,
        *,
        steps: int | Tensor | None = None,
        loss: Loss = cross_entropy,
        rule: GradientRule | None = None,
        aux: Any = None,
        carry: Any = None,
        trainable: "frozenset[str] | None" = None,
        momentum: Tensors | None = None,
        stream: str = "batches",
    ) -> Trained:
        """Train a cohort locally from stacked parameters ``[c, ...]``.

        ``steps``: for all, or per client int64 ``[c]``; default, as many as ``local_steps`` mini-batch gradients
        afford. ``loss``, ``rule``: values (``client.losses``). ``aux``: a tree of ``[c, ...]`` that both are given.
        ``carry``: a tree of ``[c, ...]`` that the rule takes from step to step. ``trainable``: the names that move,
        by default all; the client model's frozen parameters and its buffers never do. ``momentum``: buffers to carry on
        from; missing names start at zero. ``stream``: requests with the same stream in the same round see the same
        batches.

        BudgetError where nothing may train; UnsuitedError where ``local_steps`` are too few for one step.
        """
        if self.phase == "evaluate":
            raise BudgetError(
                "fed.train while models are evaluated (global_params, client_params, client_vectors): they are scored "
                "before any local step; train in round, or in adapt"
            )
        check_value("loss", loss)
        if rule is not None:
            check_value("rule", rule)
        draws, cost = (1, 1) if rule is None else (rule.draws, rule.gradients)
        most, taken = self._steps(steps, cost)
        moves = frozenset(params if trainable is None else trainable) - (self.model.names - self.model.trainable)
        names = tuple(name for name in params if name in moves)
        plan = self._group.plan(
            cohort, most, draws, (STREAM.get(self.phase, str(self.phase)), stream), self.round, taken
        )
        request = TrainRequest(
            params=params,
            plan=plan,
            sgd=sgd,
            loss=loss,
            rule=rule,
            trainable=names,
            aux=plain(aux),
            carry=plain(carry),
            momentum=zeros_like(params.only(names)) | (momentum or {}),
        )
        self._count_gradients(plan.sizes, taken, cost)
        if not names:
            return Trained(params, request.momentum, carry, torch.full((len(cohort), most), torch.nan))
        return self._group.backend.train(self.model, self._group.pool, request)

    def compute(
        self,
        function: Function,
        params: Tensors,
        clients: Tensor,
        *,
        aux: Any = None,
        over: Literal["all"] | int = "all",
        models: int | None = None,
        reduce: Literal["sum", "rows"] = "sum",
        gradients: bool = False,
        stream: str = "compute",
    ) -> Any:
        """Run ``function(net, params, batch, aux)`` over clients' training data, without learning.

        Returns what the function returns, a tree of tensors, with a leading client axis. ``over``: all samples, in
        chunks, or so many mini-batches. ``reduce``: ``sum`` adds up what chunks and mini-batches give, so the function
        must do so over samples too and leave out those of weight 0; ``rows`` puts values per sample behind one another,
        ``[c, n, ...]``, zeros behind a client's last. ``models``: ``params`` are ``[c, models, ...]``, and the function
        is run for each of them. ``gradients``: the function takes derivatives; then each mini-batch counts as one
        mini-batch gradient (``over`` must be a number). Passes are counted in ``forward_samples``.
        """
        check_value("function", function)
        if gradients and over == "all":
            raise ValueError("compute(gradients=True) needs over=NUMBER: each mini-batch counts as one gradient")
        if over == "all":
            plan = self._group.plan_all(clients)
        else:
            plan = self._group.plan(clients, over, 1, self._coordinates(stream), self.round)
        request = ComputeRequest(Params(params), plan, function, plain(aux), models, reduce, gradients)
        if gradients:
            if self.phase == "evaluate":
                raise BudgetError("fed.compute takes derivatives while models are evaluated; use round or adapt")
            self._count_gradients(plan.sizes, None, models or 1)
        with torch.no_grad():
            found, passes = self._group.backend.compute(self.model, self._group.pool, request)
        counted = int(plan.sizes.sum()) * passes
        if self.phase in TRAINING:
            self._meter.forward_samples += counted
        else:
            self._meter.adapt_forward_samples += counted
        return found

    def _coordinates(self, stream: str) -> tuple[str, str]:
        """Where a stream of random numbers begins: with the phase."""
        return STREAM.get(self.phase, str(self.phase)), stream

    def _steps(self, steps: int | Tensor | None, cost: int) -> tuple[int, np.ndarray | None]:
        """The most steps of a client, and each client's own where they differ."""
        if steps is None:
            steps = self.local_steps // cost
            if steps < 1:
                raise UnsuitedError(
                    f"local_steps={self.local_steps} is too few: one step of this method takes "
                    f"{cost} mini-batch gradients"
                )
        if isinstance(steps, Tensor):
            taken = steps.detach().cpu().numpy().astype(np.int64)
            return max(1, int(taken.max())), taken
        if steps < 1:
            raise ValueError(f"steps={steps!r} must be at least 1")
        return steps, None

    def _count_gradients(self, sizes: np.ndarray, taken: np.ndarray | None, cost: int) -> None:
        clients, steps = sizes.shape[:2]
        gradients = (clients * steps if taken is None else int(taken.sum())) * cost
        if self.phase not in TRAINING:
            self._meter.adapt_steps += gradients
            return
        self._meter.local_steps += gradients
        self._meter.samples += round(float(sizes.mean()) * gradients)


def _bytes(params: Tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in params.values())
