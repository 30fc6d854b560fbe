"""FedCP: a gate divides every sample's features between the client's own head and the shared one."""

from dataclasses import dataclass
from functools import reduce

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat
from torch import Tensor, nn

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    Served,
    State,
    Tensors,
    UnsuitedError,
    cross_entropies,
    mean_over,
    register_method,
    stacked,
)

from ._layers import add_layer, seeded

WIDTHS = (10.0, 15.0, 20.0, 50.0)
"""Of the kernels exp(-|a - b|^2 / (2 width))."""


def divided(net: Net, params: Tensors, z: Tensor, aux: Tensors) -> Tensor:
    """head_i(a z) + head(b z), ``[B, classes]``, with (a, b) = softmax(relu(LayerNorm(linear(z u)))) and a + b = 1."""
    own = {name: tensor for name, tensor in params.items() if name in net.model.names}
    hidden = F.linear(z * aux["context"], params["gate.weight"], params["gate.bias"])
    hidden = F.layer_norm(hidden, hidden.shape[1:], params["gate.norm.weight"], params["gate.norm.bias"]).relu()
    a, b = hidden.view(len(z), 2, -1).softmax(1).unbind(1)
    return net.head(own, a * z) + net.head({name: aux[name] for name in net.model.head}, b * z)


def discrepancy(x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
    """MMD^2 between the samples of two batches of features ``[B, d]``, over all pairs; padding has weight 0."""

    def mean_kernel(a: Tensor, b: Tensor) -> Tensor:
        apart = (a.square().sum(1).unsqueeze(1) + b.square().sum(1) - 2 * a @ b.T).clamp(min=0)
        kernel = torch.stack([torch.exp(-apart / (2 * width)) for width in WIDTHS]).sum(0)
        share = weight / weight.sum()
        return share @ kernel @ share

    return mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)


@dataclass(frozen=True)
class Divided:
    """CE of both heads' sum + lam MMD^2(z, z of the received body); ``aux`` is the received model and the context."""

    lam: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: Tensors) -> Tensor:
        """The loss of one client."""
        z = net.features({name: params[name] for name in net.model.body}, batch.x)
        before = net.features({name: aux[name] for name in net.model.body}, batch.x)
        value = mean_over(batch, cross_entropies(divided(net, params, z, aux), batch.y))
        return value + self.lam * discrepancy(z, before, batch.weight)


def divided_predict(net: Net, params: Tensors, x: Tensor, aux: Tensors) -> Tensor:
    """Logits of both heads together."""
    return divided(net, params, net.features({name: params[name] for name in net.model.body}, x), aux)


@register_method("fedcp", paper="Zhang et al. 2023, KDD, arXiv:2307.01217, algorithm 1", family="features")
class FedCP(Method):
    """SGD on CE(head_i(a z) + head(b z)) + lam MMD^2(z, z~), z~ of the received body; head received and frozen.

    (a, b) = gate(z u_i), u_i the sum of head_i's rows, as it was before the visit, of length 1. Body, gate and
    (head_i + head) / 2 are averaged by samples, head_i stays. Deviation: the gate is softmax without Gumbel noise,
    which the official code draws in training and in testing too.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [0.0, 0.1, 1.0, 5.0]}

    class Config(LocalSgdConfig):
        """Local SGD; the authors' script sets lam to 5."""

        lam: NonNegativeFloat = Field(5.0, description="weight of the discrepancy to the received body's features")

    def init(self, fed: Federation) -> State:
        """A shared model and gate, and a head per client."""
        server, gate, d = fed.init_params(), Params(), fed.model.feature_size
        with seeded(fed, "gate"):
            add_layer(gate, "gate", nn.Linear(d, 2 * d))
            add_layer(gate, "gate.norm", nn.LayerNorm(2 * d))
        gate = gate.map(lambda tensor: tensor.to(fed.device))
        return State(server=server, gate=gate, heads=fed.per_client(server.only(fed.model.head)))

    def received(self, fed: Federation, state: State, heads: Params, clients: Tensor) -> tuple[Params, Params]:
        """What a client trains and predicts with, and what it keeps beside it: the received model and its context."""
        sent = fed.send(state.server | state.gate, clients)
        weights = [tensor for tensor in heads.values() if tensor.dim() == 3]
        if not weights:
            raise UnsuitedError(f"client model {fed.model.name!r} has no linear layer in its head")
        context = reduce(torch.matmul, weights[::-1]).sum(1)
        return sent | heads, sent.only(state.server) | {"context": F.normalize(context, dim=1)}

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train body, gate and own head; send the mean of both heads."""
        start, aux = self.received(fed, state, state.heads.rows(cohort), cohort)
        trained = fed.train(start, cohort, self.config.sgd(), loss=Divided(self.config.lam), aux=aux).params
        heads = {name: (trained[name] + aux[name]) / 2 for name in state.heads}
        shared = fed.average(fed.collect(trained | heads), cohort)
        state.server, state.gate = shared.only(state.server), shared.only(state.gate)
        state.heads.set_rows(cohort, trained)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """The received model and gate with each client's stored head."""
        params, aux = self.received(fed, state, state.heads.rows(clients), clients)
        return Served(params, divided_predict, aux)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Fit a head, from the shared one, under the frozen rest."""
        head = fed.model.head
        start, aux = self.received(fed, state, stacked(state.server.only(head), len(clients)), clients)
        sgd, loss = self.config.sgd(), Divided(0.0)
        return Served(fed.train(start, clients, sgd, loss=loss, aux=aux, trainable=head).params, divided_predict, aux)
