"""The server-side hypernetwork of pFedHN: client embeddings in, client-model parameters out.

An MLP trunk and one linear head per tensor, so it works for any client model, and for several at once: then it has
heads for all of them and each client is sent the slice that is its own. Pure functions of ``Params``.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import Batch, ClientModel, Federation, Net, Params, Sgd, Tensors, cross_entropy, sgd_step_

Shapes = Mapping[str, tuple[int, ...]]


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
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(fed.generator("hypernetwork").integers(2**63)))
        phi["embedding"] = torch.randn(fed.population, embedding)
        for layer in range(hidden_layers + 1):
            _add_linear(phi, f"trunk.{layer}", embedding if layer == 0 else hidden, hidden)
        for start, own in shapes.items():
            for name, shape in own.items():
                _add_linear(phi, f"head.{start}{name}", hidden, math.prod(shape))
    return phi.map(lambda tensor: tensor.to(fed.device))


def _add_linear(phi: Params, name: str, inputs: int, outputs: int) -> None:
    linear = nn.Linear(inputs, outputs)
    phi[f"{name}.weight"], phi[f"{name}.bias"] = linear.weight.detach(), linear.bias.detach()


def prefix(fed: Federation, model: ClientModel) -> str:
    """What the heads of a client model are called by, where there are several."""
    return f"{model.name}." if len(fed.models) > 1 else ""


def generate(phi: Tensors, embeddings: Tensor, shapes: Shapes, start: str = "") -> Params:
    """theta_i = h(v_i; phi): ``[c, k]`` to ``[c, ...]``. ReLU between the trunk's layers, none after the last."""
    feature = F.linear(embeddings, phi["trunk.0.weight"], phi["trunk.0.bias"])
    layer = 1
    while f"trunk.{layer}.weight" in phi:
        feature = F.linear(F.relu(feature), phi[f"trunk.{layer}.weight"], phi[f"trunk.{layer}.bias"])
        layer += 1
    return Params(
        {
            name: F.linear(feature, phi[f"head.{start}{name}.weight"], phi[f"head.{start}{name}.bias"]).view(-1, *shape)
            for name, shape in shapes.items()
        }
    )


def update_hypernetwork_(
    phi: Params, momentum: Params, clients: Tensor, shapes: Shapes, delta: Tensors, sgd: Sgd, start: str = ""
) -> None:
    """One step on all of phi, in place: descend the mean over the cohort of (d theta_i / d phi)^T delta_i.

    ``delta``: sent minus returned parameters, ``[c, ...]``; the sign of the official code, whose minimiser
    descends this vector-Jacobian product. Slices that were not sent have gradient zero.
    """
    leaves = phi.map(lambda tensor: tensor.detach().requires_grad_())
    outputs = generate(leaves, leaves["embedding"][clients], shapes, start)
    cotangents = [delta[name] / len(clients) for name in outputs]
    gradients = torch.autograd.grad(list(outputs.values()), list(leaves.values()), cotangents, materialize_grads=True)
    sgd_step_(phi, dict(zip(leaves, gradients, strict=True)), momentum, sgd)


@dataclass(frozen=True)
class GeneratedLoss:
    """Cross-entropy of a generated model as a function of its embedding; ``aux`` is the frozen rest of phi.

    ``params`` are the embedding ``[k]`` and what of the client model is not generated.
    """

    shapes: tuple[tuple[str, tuple[int, ...]], ...]

    def __call__(self, net: Net, params: Tensors, batch: Batch, phi: Tensors) -> Tensor:
        """The loss of one client."""
        generated = generate(phi, params["embedding"].unsqueeze(0), dict(self.shapes))
        own = {name: tensor for name, tensor in params.items() if name != "embedding"}
        return cross_entropy(net, {**{name: tensor[0] for name, tensor in generated.items()}, **own}, batch)


@dataclass(frozen=True)
class Hypernetwork:
    """The server's two recurring pieces of work, for the clients of ``fed``; replayed on a GPU."""

    fed: Federation
    phi: Params
    momentum: Params
    shapes: Shapes

    def generate(self, clients: Tensor) -> Params:
        """The models of these clients, stacked ``[c, ...]``."""
        start = prefix(self.fed, self.fed.model)

        def work(phi: Params, given: Tensor) -> Params:
            return generate(phi, phi["embedding"][given], self.shapes, start)

        return Params(self.fed.replayed(f"generate {start}", work, self.phi, self.fed.among_all(clients)))

    def learn(self, clients: Tensor, delta: Tensors, sgd: Sgd) -> None:
        """``update_hypernetwork_`` from what the clients sent back."""
        start = prefix(self.fed, self.fed.model)

        def work(held: tuple[Params, Params], given: tuple[Tensor, Tensors]) -> None:
            update_hypernetwork_(*held, given[0], self.shapes, given[1], sgd, start)

        self.fed.replayed(f"learn {start}", work, (self.phi, self.momentum), (self.fed.among_all(clients), delta))
