"""kNN-Per: FedAvg, and at prediction a vote of the client's own training samples with the nearest features."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    Served,
    State,
    Tensors,
    register_method,
)

from ._prototypes import labelled_features


@dataclass(frozen=True)
class Mixture:
    """lam p_kNN + (1 - lam) softmax; p_kNN(c | x) ~ sum of exp(-|z - z_j|^2 / (d scale)) over neighbours of class c."""

    k: int
    lam: float
    scale: float

    def __call__(self, net: Net, params: Tensors, x: Tensor, store: Tensors) -> Tensor:
        """Log-probabilities ``[B, classes]``."""
        z = net.features(params, x)
        lam = z.new_tensor(self.lam)
        apart = torch.cdist(z, store["z"], compute_mode="donot_use_mm_for_euclid_dist").square()
        near, which = apart.masked_fill(store["real"] == 0, torch.inf).topk(min(self.k, len(store["y"])), largest=False)
        votes = (-near / (z.shape[1] * self.scale)).softmax(1).unsqueeze(2)
        knn = (votes * F.one_hot(store["y"][which], net.model.classes)).sum(1)
        model = net.head(params, z).log_softmax(1)
        return torch.logaddexp(lam.log() + knn.clamp(min=1e-30).log(), (1 - lam).log() + model)


@register_method("knn_per", paper="Marfoq et al. 2022, ICML, arXiv:2111.09360", family="features")
class KnnPer(Method):
    """The shared model is FedAvg's; client i predicts with it and with a datastore of its own features.

    In the paper lam is chosen per client on held-out data; here it is a hyper-parameter like any other.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES, "lam": [0.25, 0.5, 0.75]}

    class Config(LocalSgdConfig):
        """The authors' scripts use k = 7 and scale = 1."""

        k: PositiveInt = Field(7, description="neighbours that vote")
        lam: float = Field(0.5, ge=0, le=1, description="weight of their vote; 0 is FedAvg")
        scale: PositiveFloat = Field(1.0, description="width of the kernel, in squared distance per feature")

    def init(self, fed: Federation) -> State:
        """The server's model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging."""
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model, without neighbours."""
        return state.server

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """The server's model, with the features of each client's training samples under it; no local step."""
        params, config = fed.send(state.server, clients), self.config
        store = fed.compute(labelled_features, params, clients, reduce="rows")
        return Served(params, Mixture(config.k, config.lam, config.scale), store)

    enroll = adapt
