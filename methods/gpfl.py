"""GPFL: a conditional valve draws personal features from a body, and global ones that class embeddings guide."""

from dataclasses import dataclass

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
    cross_entropies,
    mean_over,
    register_method,
    stacked,
)

from ._layers import add_layer, seeded

CLASSES = "classes.weight"
"""The class embeddings E, ``[C, d]``."""


def valve(params: Tensors, z: Tensor, condition: Tensor) -> Tensor:
    """CoV(z, c) = relu(z (gamma(c) + 1) + beta(c)); gamma and beta are LayerNorm(relu(linear))."""

    def of(name: str) -> Tensor:
        hidden = F.linear(condition, params[f"{name}.weight"], params[f"{name}.bias"]).relu()
        return F.layer_norm(hidden, hidden.shape, params[f"{name}.norm.weight"], params[f"{name}.norm.bias"])

    return (z * (of("gamma") + 1) + of("beta")).relu()


@dataclass(frozen=True)
class Guided:
    """CE(head(CoV(z, p))) + CE(cos(CoV(z, g), E)) + lam |CoV(z, g) - E'_y|; ``aux`` is E', g and p, which stay."""

    lam: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: Tensors) -> Tensor:
        """The loss of one client."""
        own = {name: tensor for name, tensor in params.items() if name in net.model.names}
        z = net.features(own, batch.x)
        personal = cross_entropies(net.head(own, valve(params, z, aux["p"])), batch.y)
        shared = valve(params, z, aux["g"])
        angles = F.linear(F.normalize(shared, dim=1), F.normalize(params[CLASSES], dim=1))
        apart = ((shared - aux["E"][batch.y]).square().sum(1) + 1e-12).sqrt()
        return mean_over(batch, personal + cross_entropies(angles, batch.y) + self.lam * apart)


def valved(net: Net, params: Tensors, x: Tensor, condition: Tensor) -> Tensor:
    """Logits of the personal features."""
    own = {name: tensor for name, tensor in params.items() if name in net.model.names}
    return net.head(own, valve(params, net.features(own, x), condition))


def personal_loss(net: Net, params: Tensors, batch: Batch, condition: Tensor) -> Tensor:
    """Cross-entropy of the personal features alone."""
    return mean_over(batch, cross_entropies(valved(net, params, batch.x, condition), batch.y))


@register_method("gpfl", paper="Zhang et al. 2023, ICCV, arXiv:2308.10279, algorithm 1", family="features")
class Gpfl(Method):
    """SGD on CE(head_i(CoV(z, p_i))) + CE(cos(CoV(z, g), E)) + lam |CoV(z, g) - E_y|; body, E and CoV are averaged.

    Conditions: g = mean_c E_c and p_i = sum_c pi_ic E_c, of the class embeddings E as received; the official code's are
    those of the embeddings before. The guide's norm is per sample and averaged; the official code's is that of the
    whole batch, so that its weight depends on the batch size.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [1e-4, 1e-3, 0.01, 0.1], "mu": [0.0, 0.1, 1.0]}

    class Config(LocalSgdConfig):
        """Local SGD; the authors' values for small networks."""

        lam: NonNegativeFloat = Field(0.01, description="weight of the distance to the class embeddings")
        mu: NonNegativeFloat = Field(0.1, description="weight decay of class embeddings and conditional valve")

    def init(self, fed: Federation) -> State:
        """A shared body, class embeddings and valve, and a head per client."""
        body, head = fed.split(fed.init_params())
        guide, d = Params(), fed.model.feature_size
        with seeded(fed, "guide"):
            add_layer(guide, "classes", nn.Embedding(fed.classes, d))
            for name in ("gamma", "beta"):
                add_layer(guide, name, nn.Linear(d, d))
                add_layer(guide, f"{name}.norm", nn.LayerNorm(d))
        return State(body=body, guide=guide.map(lambda tensor: tensor.to(fed.device)), heads=fed.per_client(head))

    def conditions(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """E, g and p_i ``[c, ...]``."""
        classes = state.guide[CLASSES]
        shares = fed.class_counts[clients] / fed.sizes[clients].unsqueeze(1)
        return stacked({"E": classes, "g": classes.mean(0)}, len(clients)) | {"p": shares @ classes}

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train everything together; all but the heads is averaged by sample counts."""
        sent = fed.send(state.body | state.guide, cohort)
        sgd = self.config.sgd().but(state.guide, weight_decay=self.config.mu)
        loss, aux = Guided(self.config.lam), self.conditions(fed, state, cohort)
        trained = fed.train(sent | state.heads.rows(cohort), cohort, sgd, loss=loss, aux=aux).params
        shared = fed.average(fed.collect(trained.only(sent)), cohort)
        state.body, state.guide = shared.only(state.body), shared.only(state.guide)
        state.heads.set_rows(cohort, trained)
        return state

    def served(self, fed: Federation, state: State, heads: Params, clients: Tensor) -> Served:
        """The shared part under these heads, with each client's condition."""
        params = fed.send(state.body | state.guide, clients) | heads
        return Served(params, valved, self.conditions(fed, state, clients)["p"])

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """The shared part under each client's stored head."""
        return self.served(fed, state, state.heads.rows(clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Fit a fresh head under the frozen rest."""
        fresh = self.served(fed, state, stacked(state.heads.default, len(clients)), clients)
        sgd, head = self.config.sgd(), fed.model.head
        start = Params(fresh.params)
        fitted = fed.train(start, clients, sgd, loss=personal_loss, aux=fresh.aux, trainable=head).params
        return Served(start | fitted.only(head), valved, fresh.aux)
