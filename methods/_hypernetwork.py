"""The hypernetwork of pFedHN and its descendants: client embeddings in, client-model parameters out.

An MLP trunk and one linear head per tensor, so it works for any client model, and for several at once: then it has
heads for all of them and each client is sent the slice that is its own. Pure functions of ``Params``.
"""

import math
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor, nn

from pfl_bench.api import (
    ClientModel,
    Federation,
    MethodConfig,
    Params,
    Sgd,
    Tensors,
    sgd_step_,
)

from ._layers import add_layer, seeded

Shapes = Mapping[str, tuple[int, ...]]


class HypernetworkConfig(MethodConfig):
    """What pFedHN and its descendants on the server share: the client's optimiser and the hypernetwork's size."""

    inner_lr: PositiveFloat = Field(5e-3, description="learning rate of the client")
    inner_momentum: float = Field(0.9, ge=0, lt=1, description="reset at every visit")
    inner_weight_decay: NonNegativeFloat = 5e-5
    clip_norm: PositiveFloat = Field(50.0, description="largest gradient norm, of client and hypernetwork alike")
    embedding: PositiveInt | None = Field(None, description="embedding size; default int(1 + clients / 4)")
    hidden: PositiveInt = Field(100, description="width of the trunk")
    hidden_layers: NonNegativeInt = Field(3, description="trunk layers after the first")

    def inner_sgd(self) -> Sgd:
        """The client's optimiser spec."""
        return Sgd(self.inner_lr, self.inner_momentum, self.inner_weight_decay, self.clip_norm)


def embedding_size(clients: int) -> int:
    """The official code's rule, int(1 + n / 4)."""
    return int(1 + clients / 4)


def init_hypernetwork(
    fed: Federation, shapes: Mapping[str, Shapes], embedding: int, hidden: int, hidden_layers: int
) -> Params:
    """N(0, 1) embeddings ``[clients, embedding]``; trunk and heads as ``nn.Linear`` initialises itself.

    ``shapes``: what to generate per ``prefix`` of a client model.
    """
    phi = Params()
    with seeded(fed, "hypernetwork"):
        phi["embedding"] = torch.randn(fed.population, embedding)
        for layer in range(hidden_layers + 1):
            add_layer(phi, f"trunk.{layer}", nn.Linear(embedding if layer == 0 else hidden, hidden))
        for start, own in shapes.items():
            for name, shape in own.items():
                add_layer(phi, f"head.{start}{name}", nn.Linear(hidden, math.prod(shape)))
    return phi.map(lambda tensor: tensor.to(fed.device))


def prefix(fed: Federation, model: ClientModel) -> str:
    """What the heads of a client model are called by, where there are several."""
    return f"{model.name}." if len(fed.models) > 1 else ""


def trunk(phi: Tensors, embeddings: Tensor) -> Tensor:
    """The trunk's features ``[..., hidden]`` of embeddings ``[..., k]``: ReLU between layers, none after the last."""
    feature = F.linear(embeddings, phi["trunk.0.weight"], phi["trunk.0.bias"])
    layer = 1
    while f"trunk.{layer}.weight" in phi:
        feature = F.linear(F.relu(feature), phi[f"trunk.{layer}.weight"], phi[f"trunk.{layer}.bias"])
        layer += 1
    return feature


def heads(phi: Tensors, feature: Tensor, shapes: Shapes, start: str = "") -> Params:
    """What the linear heads make of features ``[c, hidden]``: parameters ``[c, ...]``."""
    return Params(
        {
            name: F.linear(feature, phi[f"head.{start}{name}.weight"], phi[f"head.{start}{name}.bias"]).view(-1, *shape)
            for name, shape in shapes.items()
        }
    )


def generate(phi: Tensors, embeddings: Tensor, shapes: Shapes, start: str = "") -> Params:
    """theta_i = h(v_i; phi): ``[c, k]`` to ``[c, ...]``."""
    return heads(phi, trunk(phi, embeddings), shapes, start)


def pulled_back(weights: Params, make: Callable[[Params], Tensors], delta: Tensors) -> dict[str, Tensor]:
    """The mean over the cohort of (d make / d weights)^T delta, per weight; ``make`` gives ``[c, ...]`` as ``delta``.

    ``delta``: sent minus returned parameters; the sign of pFedHN's official code, whose minimiser descends this
    vector-Jacobian product. What had no part in ``make`` has gradient zero.
    """
    leaves = weights.map(lambda tensor: tensor.detach().requires_grad_())
    made = make(leaves)
    cotangents = [delta[name] / len(delta[name]) for name in made]
    gradients = torch.autograd.grad(list(made.values()), list(leaves.values()), cotangents, materialize_grads=True)
    return dict(zip(leaves, gradients, strict=True))


def update_hypernetwork_(
    phi: Params, momentum: Params, clients: Tensor, shapes: Shapes, delta: Tensors, sgd: Sgd, start: str = ""
) -> None:
    """One step on all of phi, in place: descend the mean over the cohort of (d theta_i / d phi)^T delta_i."""
    gradients = pulled_back(phi, lambda at: generate(at, at["embedding"][clients], shapes, start), delta)
    sgd_step_(phi, gradients, momentum, sgd)
