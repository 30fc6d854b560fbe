"""The server-side hypernetwork of pFedHN: client embeddings in, client-model parameters out.

An MLP trunk and one linear head per tensor, so it works for any client model. Pure functions of ``Params``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import Federation, Params, Sgd, Tensors, sgd_step_


def embedding_size(clients: int) -> int:
    """The official code's rule, int(1 + n / 4)."""
    return int(1 + clients / 4)


def init_hypernetwork(
    fed: Federation, shapes: Mapping[str, torch.Size], embedding: int, hidden: int, hidden_layers: int
) -> Params:
    """N(0, 1) embeddings ``[clients, embedding]``; trunk and heads as ``nn.Linear`` initialises itself."""
    phi = Params()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(fed.generator("hypernetwork").integers(2**63)))
        phi["embedding"] = torch.randn(fed.clients, embedding)
        for layer in range(hidden_layers + 1):
            _add_linear(phi, f"trunk.{layer}", embedding if layer == 0 else hidden, hidden)
        for name, shape in shapes.items():
            _add_linear(phi, f"head.{name}", hidden, math.prod(shape))
    return phi.map(lambda tensor: tensor.to(fed.device))


def _add_linear(phi: Params, name: str, inputs: int, outputs: int) -> None:
    linear = nn.Linear(inputs, outputs)
    phi[f"{name}.weight"], phi[f"{name}.bias"] = linear.weight.detach(), linear.bias.detach()


def generate(phi: Tensors, clients: Tensor, shapes: Mapping[str, torch.Size]) -> Params:
    """theta_i = h(v_i; phi), stacked ``[c, ...]``. ReLU between the trunk's layers, none after the last."""
    feature = F.linear(phi["embedding"][clients], phi["trunk.0.weight"], phi["trunk.0.bias"])
    layer = 1
    while f"trunk.{layer}.weight" in phi:
        feature = F.linear(F.relu(feature), phi[f"trunk.{layer}.weight"], phi[f"trunk.{layer}.bias"])
        layer += 1
    return Params(
        {
            name: F.linear(feature, phi[f"head.{name}.weight"], phi[f"head.{name}.bias"]).view(-1, *shape)
            for name, shape in shapes.items()
        }
    )


def update_hypernetwork_(
    phi: Params, momentum: Params, clients: Tensor, shapes: Mapping[str, torch.Size], delta: Tensors, sgd: Sgd
) -> None:
    """One step on all of phi, in place: descend the mean over the cohort of (d theta_i / d phi)^T delta_i.

    ``delta``: sent minus returned parameters, ``[c, ...]``; the sign of the official code, whose minimiser
    descends this vector-Jacobian product.
    """
    leaves = phi.map(lambda tensor: tensor.detach().requires_grad_())
    outputs = generate(leaves, clients, shapes)
    cotangents = [delta[name] / len(clients) for name in outputs]
    gradients = torch.autograd.grad(list(outputs.values()), list(leaves.values()), cotangents)
    sgd_step_(phi, dict(zip(leaves, gradients, strict=True)), momentum, sgd)


@dataclass(frozen=True)
class Hypernetwork:
    """The server's two recurring pieces of work, replayed on a GPU: generating a cohort and learning from it."""

    fed: Federation
    phi: Params
    momentum: Params
    shapes: Mapping[str, torch.Size]

    def generate(self, clients: Tensor) -> Params:
        """The models of these clients, stacked ``[c, ...]``."""

        def work(phi: Params, given: Tensor) -> Params:
            return generate(phi, given, self.shapes)

        generated: Params = self.fed.replayed("generate", work, self.phi, clients)
        return generated

    def learn(self, clients: Tensor, delta: Tensors, sgd: Sgd) -> None:
        """``update_hypernetwork_`` from what the clients sent back."""

        def work(held: tuple[Params, Params], given: tuple[Tensor, Tensors]) -> None:
            update_hypernetwork_(*held, given[0], self.shapes, given[1], sgd)

        self.fed.replayed("learn", work, (self.phi, self.momentum), (clients, delta))
