"""What SGD descends in a stacked step: parameters in flat tensors, and the direction of all clients at once."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from pfl_bench.client.batches import Batch
from pfl_bench.client.losses import GradientRule, Loss, check_cost, check_step, scalar
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Tensors
from pfl_bench.client.requests import TrainRequest
from pfl_bench.client.sgd import Sgd

Flats = tuple[Tensor, ...]
"""One tensor ``[c, P]`` per group of parameters."""


@dataclass(frozen=True)
class Layout:
    """Where each trainable parameter lies in the flat tensors; per group of the optimiser names and shapes.

    Each parameter begins at a multiple of ``unit`` numbers, with zeros before it (see ``lockstep``).
    """

    groups: tuple[tuple[tuple[str, ...], tuple[torch.Size, ...]], ...]
    unit: int = 1

    @classmethod
    def of(cls, request: TrainRequest, unit: int = 1) -> "Layout":
        """The layout for a request's trainable parameters."""
        parts = [names for _, names in request.sgd.parts(request.trainable)]
        shapes = [tuple(request.params[name].shape[1:] for name in names) for names in parts]
        return cls(tuple(zip(parts, shapes, strict=True)), unit)

    @property
    def names(self) -> frozenset[str]:
        """All trainable parameters."""
        return frozenset(name for names, _ in self.groups for name in names)

    def flatten(self, params: Tensors) -> Flats:
        """``[c, *shape]`` per name to ``[c, P]`` per group, copies."""
        return tuple(
            torch.cat([self._padded(params[name].flatten(1)) for name in names], dim=1) for names, _ in self.groups
        )

    def _padded(self, rows: Tensor) -> Tensor:
        rest = -rows.shape[1] % self.unit
        return F.pad(rows, (0, rest)) if rest else rows

    def views(self, flats: Flats) -> dict[str, Tensor]:
        """``[c, P]`` per group to ``[c, *shape]`` per name, without a copy."""
        found = {}
        for flat, (names, shapes) in zip(flats, self.groups, strict=True):
            sizes = [shape.numel() for shape in shapes]
            parts = torch.split(flat, [size + -size % self.unit for size in sizes], dim=1)  # type: ignore[no-untyped-call]
            for name, shape, size, part in zip(names, shapes, sizes, parts, strict=True):
                own = part if part.shape[1] == size else part[:, :size]
                found[name] = own.view(len(own), *shape) if len(shape) != 1 else own
        return found


def figures_of(request: TrainRequest) -> tuple[Sgd, ...]:
    """The optimiser's figures, per group of a request's layout."""
    return tuple(figures for figures, _ in request.sgd.parts(request.trainable))


@dataclass(frozen=True)
class Direction:
    """What SGD descends in one step, for all clients at once. Equal values are the same function."""

    model: ClientModel
    layout: Layout
    loss: Loss
    rule: GradientRule | None
    padded: bool = True

    @classmethod
    def of(cls, model: ClientModel, request: TrainRequest) -> "Direction":
        """The direction that a request asks for; of equal ones the first, so that a step's lookup is quick."""
        padded = bool((request.plan.sizes < request.plan.sizes.max()).any())
        return cls.known(cls(model, Layout.of(request), request.loss, request.rule, padded))

    @staticmethod
    def known(direction: "Direction") -> "Direction":
        """Of equal directions the first that was made."""
        return _first_equal(direction)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.model, self.layout, self.loss, self.rule, self.padded))

    def __call__(
        self, flats: Flats, fixed: Mapping[str, Tensor], batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Flats, Any, Tensor, dict[str, Tensor]]:
        """From parameters ``[c, P]``, untrained ones ``[c, ...]`` and batches ``[c, B, ...]``: the direction, carry,
        losses ``[c]`` and moved buffers ``[c, ...]``."""
        if self.rule is None:
            found, losses, buffers = self._gradient(flats, fixed, batches[0], aux)
            return found, carry, losses, buffers
        return self._ruled({**fixed, **self.layout.views(flats)}, batches, aux, carry)

    def _gradient(
        self, flats: Flats, fixed: Mapping[str, Tensor], batch: Batch, aux: Any
    ) -> tuple[Flats, Tensor, dict[str, Tensor]]:
        """Clients share nothing, so the gradient of the sum of their losses holds each client's own gradient.

        One ordinary backward pass through the batched forward is cheaper than a second ``torch.func`` level.
        """
        leaves = tuple(flat.detach().requires_grad_() for flat in flats)

        def loss(own: Any, own_batch: Batch, own_aux: Any) -> tuple[Tensor, dict[str, Tensor]]:
            net = self.model.training(own_batch, own, padded=self.padded)
            return scalar(self.loss(net, own, own_batch, own_aux), self.loss), net.buffers

        params = {**fixed, **self.layout.views(leaves)}
        losses, buffers = torch.func.vmap(loss, in_dims=(0, axes(batch), axes(aux)))(params, batch, aux)
        found = torch.autograd.grad(losses.sum(), leaves, materialize_grads=True)
        return found, losses.detach(), {name: tensor.detach() for name, tensor in buffers.items()}

    def _ruled(
        self, params: dict[str, Tensor], batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Flats, Any, Tensor, dict[str, Tensor]]:
        rule = self.rule
        assert rule is not None

        def one_client(own: Any, own_batches: tuple[Batch, ...], own_aux: Any, own_carry: Any) -> Any:
            first: list[tuple[Tensor, dict[str, Tensor]]] = []

            def gradient(at: Mapping[str, Tensor], batch: Batch) -> dict[str, Tensor]:
                every = {**own, **at}

                def loss(moved: Any) -> tuple[Tensor, tuple[Tensor, dict[str, Tensor]]]:
                    net = self.model.training(batch, own, padded=self.padded)
                    value = scalar(self.loss(net, {**every, **moved}, batch, own_aux), self.loss)
                    return value, (value, net.buffers)

                moved = {name: every[name] for name in sorted(self.layout.names, key=list(own).index)}
                found, seen = torch.func.grad(loss, has_aux=True)(moved)
                first.append(seen)
                return found  # type: ignore[no-any-return]

            trained = {name: own[name] for name in own if name in self.layout.names}
            direction, carried = check_step(
                rule, trained, own_carry, rule(gradient, trained, own_batches, own_aux, own_carry)
            )
            check_cost(rule, len(first))
            return direction, () if carried is None else carried, *first[0]

        in_dims = (0, tuple(axes(batch) for batch in batches), axes(aux), axes(carry))
        direction, carried, losses, buffers = torch.func.vmap(one_client, in_dims=in_dims)(params, batches, aux, carry)
        return self.layout.flatten(direction), carry if carry is None else carried, losses, buffers


@lru_cache(maxsize=64)
def _first_equal(direction: Direction) -> Direction:
    return direction


def axes(tree: Any) -> Any:
    """Where the client axis is: the first, but for what is not there."""
    if isinstance(tree, Batch):
        return Batch(0, 0, 0, None if tree.noise is None else 0)  # type: ignore[arg-type]
    return None if tree is None else 0
