"""MOON: features are drawn to the server model's and away from the client's previous model's."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    Net,
    State,
    Tensors,
    cross_entropies,
    mean_over,
    register_method,
)

from .fedavg import FedAvg


@dataclass(frozen=True)
class ModelContrastive:
    """CE - mu log (e^(cos(z, z_glob) / tau) / (e^(cos(z, z_glob) / tau) + e^(cos(z, z_prev) / tau))), eq. 3 and 4.

    ``aux`` is (server's model, previous model); both stay as they are.
    """

    mu: float
    tau: float

    def __call__(self, net: Net, params: Tensors, batch: Batch, aux: tuple[Tensors, Tensors]) -> Tensor:
        """The loss of one client."""
        z = net.features(params, batch.x)
        others = [net.features(other, batch.x).detach() for other in aux]
        similarity = torch.stack([F.cosine_similarity(z, other, dim=-1) for other in others], dim=-1)
        contrast = -F.log_softmax(similarity / self.tau, dim=-1)[:, 0]
        return mean_over(batch, cross_entropies(net.head(params, z), batch.y) + self.mu * contrast)


@register_method("moon", paper="Li et al. 2021, CVPR, arXiv:2103.16257, algorithm 1", family="baseline")
class Moon(FedAvg):
    """FedAvg on the model-contrastive loss; z_prev comes from the model that the client had after its last visit.

    Deviations: z are the features, without the paper's projection head in between, so that the client model is that
    of every other method; before its first visit a client's previous model is the common initial one.
    """

    search_space = {"lr": LEARNING_RATES, "mu": [0.1, 1.0, 5.0, 10.0]}

    class Config(FedAvg.Config):
        """Local SGD plus the contrastive term; the paper tunes mu over 0.1, 1, 5 and 10."""

        mu: NonNegativeFloat = Field(1.0, description="weight of the contrastive term; 0 is FedAvg")
        tau: PositiveFloat = Field(0.5, description="temperature")

    def init(self, fed: Federation) -> State:
        """The server's model and a previous model per client."""
        state = super().init(fed)
        state.previous = fed.per_client(state.server)
        return state

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """A round of federated averaging on the contrastive loss."""
        loss, w = ModelContrastive(self.config.mu, self.config.tau), fed.send(state.server, cohort)
        aux = (w, state.previous.rows(cohort))
        trained = fed.train(w, cohort, self.config.sgd(), loss=loss, aux=aux).params
        state.previous.set_rows(cohort, trained)
        mean = fed.average(fed.collect(trained), cohort)
        state.server = self.config.server_step(fed, state, state.server, mean)
        return state
