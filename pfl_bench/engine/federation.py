"""What a method sees of the world: clients it can send to, train, compute on and collect from; never their data."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.losses import GradientRule, Loss, check_value, cross_entropy
from pfl_bench.client.params import Params, Tensors, plain, stacked, zeros_like
from pfl_bench.client.requests import ComputeRequest, Function, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.pool import on_device

from .clients import ClientGroup, check_ids, host_ids
from .meter import STREAM, TRAINING, BudgetError
from .steps import steps_asked, steps_done
from .view import View


class Federation(View):
    """The training clients of one run that share a client model, numbered ``0..clients-1``, at one point of the run.

    What it knows of them is in ``View``; here is what crosses the border between server and clients, and what touches
    the clients' data. Both are counted. It is for the call that it is given to: kept for later, it does nothing more.
    """

    __slots__ = ()

    def part(self, share: float) -> tuple["Federation", "Federation"]:
        """The same clients twice: with the rest of their training samples, and with the ``share`` that is held out.

        The cut is fixed by the run's seed; each part has at least one sample (a client's only one is in both).
        """
        if not 0 < share < 1:
            raise ValueError(f"share={share!r} must be above 0 and below 1")
        return self._like(self._group.part(share)[0]), self._like(self._group.part(share)[1])

    def _like(self, group: ClientGroup) -> "Federation":
        return Federation(group, self._meter, *self._at, self._account)

    # What crosses the border between server and clients

    def send(self, params: Tensors, cohort: Tensor) -> Params:
        """Send shared parameters to every client of a cohort: ``[...] -> [c, ...]``, copies. Metered."""
        return self.send_each(stacked(params, len(cohort)))

    def send_each(self, params: Tensors) -> Params:
        """Send each client of a cohort its own parameters, ``[c, ...]``, copies. Metered."""
        self._check_open("send")
        if self.phase in TRAINING:
            self._meter.bytes_down += _bytes(params)
        return Params({name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in params.items()})

    def collect(self, params: Tensors) -> Params:
        """Collect what the clients of a cohort upload, ``[c, ...]``. Metered."""
        self._check_open("collect")
        if self.phase in TRAINING:
            self._meter.bytes_up += _bytes(params)
        return Params(params)

    def average(self, params: Tensors, cohort: Tensor, weights: Literal["samples", "uniform"] = "samples") -> Params:
        """Mean over a cohort, ``[c, ...] -> [...]``, weighted by training samples or equally."""
        if weights not in ("samples", "uniform"):
            raise ValueError(f"weights={weights!r} must be 'samples' or 'uniform'")
        share = self._group.sizes[cohort] if weights == "samples" else torch.ones(len(cohort), device=self.device)
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
        afford. In a round stragglers take fewer (``Trained.steps``) where the scenario has them. ``loss``, ``rule``:
        values (``client.losses``). ``aux``: a tree of ``[c, ...]`` that both are given.
        ``carry``: a tree of ``[c, ...]`` that the rule takes from step to step. ``trainable``: the names that move,
        by default all; the client model's frozen parameters and its buffers never do. ``momentum``: buffers to carry on
        from; missing names start at zero. ``stream``: requests with the same stream in the same round see the same
        batches.

        BudgetError where nothing may train; UnsuitedError where ``local_steps`` are too few for one step.
        """
        self._check_open("train")
        if self.phase == "evaluate":
            raise BudgetError(
                "fed.train while models are evaluated (global_params, client_params, client_vectors, client_clusters): "
                "they are scored before any local step; train in round, or in adapt"
            )
        check_value("loss", loss)
        if rule is not None:
            check_value("rule", rule)
        draws, cost = (1, 1) if rule is None else (rule.draws, rule.gradients)
        asked, of_each = steps_asked(steps, cost, len(cohort), self.local_steps)
        most, taken = steps_done(asked, of_each, self._shares(cohort))
        names = self._moving(params, sgd, trainable, momentum)
        plan = self._group.plan(cohort, most, draws, self._coordinates(stream), self.round, taken)
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
        self._count_gradients(cohort, plan.sizes, taken, cost)
        self._count_asked((len(cohort) * asked if of_each is None else int(of_each.sum())) * cost)
        each = on_device(torch.from_numpy(np.full(len(cohort), most) if taken is None else taken), self.device)
        if not names:
            return Trained(params, request.momentum, carry, torch.full((len(cohort), most), torch.nan), each)
        return replace(self._group.backend.train(self.model, self._group.pool, request), steps=each)

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
        self._check_open("compute")
        check_value("function", function)
        if reduce not in ("sum", "rows"):
            raise ValueError(f"reduce={reduce!r} must be 'sum' or 'rows'")
        if over != "all" and not (isinstance(over, int) and over >= 1):
            raise ValueError(f"over={over!r} must be 'all' or a number of mini-batches, at least 1")
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
            self._count_gradients(clients, plan.sizes, None, models or 1)
            self._count_asked(plan.sizes.shape[0] * plan.sizes.shape[1] * (models or 1))
        with torch.no_grad():
            found, passes = self._group.backend.compute(self.model, self._group.pool, request)
        counted = int(plan.sizes.sum()) * passes
        if self.phase in TRAINING:
            self._meter.forward_samples += counted
        else:
            self._meter.adapt_forward_samples += counted
        return found

    def _moving(
        self, params: Tensors, sgd: Sgd, trainable: frozenset[str] | None, momentum: Tensors | None
    ) -> tuple[str, ...]:
        """The names that train; ValueError for a name that nobody has, wherever it stands."""
        if stray := sorted(frozenset(trainable or ()) - frozenset(params)):
            raise ValueError(f"trainable names {stray[0]!r}, which params do not have: they are {', '.join(params)}")
        moves = frozenset(params if trainable is None else trainable) - (self.model.names - self.model.trainable)
        names = tuple(name for name in params if name in moves)
        if stray := sorted({name for own, _ in sgd.groups for name in own} - frozenset(params)):
            raise ValueError(
                f"Sgd has a group for {stray[0]!r}, which params do not have: they are {', '.join(params)}"
            )
        if stray := sorted(frozenset(momentum or ()) - frozenset(names)):
            raise ValueError(f"momentum has {stray[0]!r}, which does not train: those that do are {', '.join(names)}")
        return names

    def _coordinates(self, stream: str) -> tuple[str, str]:
        """Where a stream of random numbers begins: with the phase."""
        return STREAM.get(self.phase, str(self.phase)), stream

    def _shares(self, cohort: Tensor) -> np.ndarray | None:
        """What share of their steps these clients do, ``[c]``; None where all do all: stragglers are in rounds only."""
        if self.phase != "train":
            return None
        own = check_ids(host_ids(cohort), self.clients)
        return self._group.availability.shares([self._group.numbers[c] for c in own], self.round)

    def _count_asked(self, gradients: int) -> None:
        if self.phase in TRAINING:
            self._meter.asked_steps += gradients

    def _count_gradients(self, clients: Tensor, sizes: np.ndarray, taken: np.ndarray | None, cost: int) -> None:
        each = np.full(len(sizes), sizes.shape[1]) if taken is None else taken
        for client, steps in zip(host_ids(clients), each.tolist(), strict=True):
            self._account.spent[client] = self._account.spent.get(client, 0) + steps * cost
        used = sizes if taken is None else sizes[np.arange(sizes.shape[1]) < taken[:, None]]
        gradients = (sizes.shape[0] * sizes.shape[1] if taken is None else len(used)) * cost
        if self.phase not in TRAINING:
            self._meter.adapt_steps += gradients
            return
        self._meter.local_steps += gradients
        self._meter.samples += round(float(used.mean()) * gradients) if gradients else 0


def _bytes(params: Tensors) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in params.values())
