"""pFedGraph: the server infers a collaboration graph from the directions that clients' models went."""

from dataclasses import dataclass

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    State,
    Tensors,
    cross_entropy,
    register_method,
    zeros_like,
)

from ._vectors import cosines, flat


def on_simplex(points: Tensor) -> Tensor:
    """The nearest rows that are nonnegative and sum to 1, ``[c, m]``."""
    falling = points.sort(dim=1, descending=True).values
    excess = (falling.cumsum(1) - 1) / torch.arange(1, points.shape[1] + 1, device=points.device)
    last = (falling > excess).sum(1, keepdim=True) - 1
    return (points - excess.gather(1, last)).clamp(min=0)


def graph(moved: Tensor, shares: Tensor, alpha: float) -> Tensor:
    """a_i = argmin over the simplex of alpha ||a - p||^2 + sum_j a_j d_ij, d_ij = -cos(moved_i, moved_j), ``[c, c]``.

    A cosine above 0.9 counts as 1, as in the authors' code.
    """
    alike = cosines(moved)
    return on_simplex(shares + torch.where(alike > 0.9, 1.0, alike) / (2 * alpha))


@dataclass(frozen=True)
class Guided:
    """F_i(theta) - lam <guide, theta> / ||theta||, that is F_i - lam sum_j a_ij cos(theta, theta_j)."""

    lam: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, guide: Tensors) -> Tensor:
        """The loss of one client; ``guide`` is 0 where there is none yet."""
        inner = torch.stack([(t * params[k]).sum() for k, t in guide.items()]).sum()
        norm = torch.stack([params[k].square().sum() for k in guide]).sum().sqrt()
        return cross_entropy(net, params, batch) - self.lam * inner / norm


@register_method("pfedgraph", paper="Ye et al. 2023, ICML, algorithm 1", family="relation")
class PFedGraph(Method):
    """theta_i <- sum_j a_ij theta_j over the cohort, a from ``graph`` by what models moved from the common initial one.

    Clients train F_i - lam sum_j a_ij cos(theta_i, theta_j), with the models theta_j that were mixed. The pull is
    towards them, as the paper minimises; the authors' code adds the cosine and so pushes away. The server keeps every
    client's mixture until its next visit. Each client's best round, which the authors report, is not looked for. No
    rule for new clients: the graph has no entry for them.
    """

    search_space = {"lr": LEARNING_RATES, "alpha": [0.05, 0.2, 0.8], "lam": [0.0, 0.01, 0.1]}

    class Config(LocalSgdConfig):
        """The authors' run has ten clients, all of them in every round."""

        cohort: PositiveInt = 10
        alpha: PositiveFloat = Field(0.8, description="how close the graph stays to the shares of samples")
        lam: NonNegativeFloat = Field(0.01, description="strength of the pull towards the models that were mixed")

    def init(self, fed: Federation) -> State:
        """A model and a guide per client, which the server keeps."""
        model = fed.init_params()
        guide = zeros_like(model.only(fed.model.trainable))
        return State(models=fed.per_client(model), guides=fed.per_client(guide))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train; infer the cohort's graph; mix along it."""
        trained = fed.collect(self.trained(fed, state, cohort))
        vectors = trained.only(fed.model.trainable)
        start = flat(Params({k: t.unsqueeze(0) for k, t in state.models.default.only(vectors).items()}))
        sizes = fed.sizes[cohort]
        a = graph(flat(vectors) - start, sizes / sizes.sum(), self.config.alpha)
        norms = flat(vectors).norm(dim=1)
        state.models.set_rows(cohort, trained.map(lambda tensor: torch.tensordot(a, tensor, dims=1)))
        state.guides.set_rows(cohort, vectors.map(lambda tensor: torch.tensordot(a / norms, tensor, dims=1)))
        return state

    def trained(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Local steps from the mixtures, with the pull."""
        sent, guide = fed.send_each(state.models.rows(clients)), fed.send_each(state.guides.rows(clients))
        return fed.train(sent, clients, self.config.sgd(), loss=Guided(self.config.lam), aux=guide).params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures."""
        return fed.send_each(state.models.rows(clients))

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures after a visit's steps, which the authors evaluate as well."""
        return self.trained(fed, state, clients)
