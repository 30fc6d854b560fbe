"""FedProto: clients share nothing but the mean feature of each class."""

from typing import Literal

import torch
from pydantic import Field, NonNegativeFloat
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
    stacked,
)

from ._prototypes import Aligned, feature_sums, merged, no_prototypes


def nearest_prototype(net: Net, params: Tensors, x: Tensor, prototypes: Tensors) -> Tensor:
    """-||z - P_c||^2 ``[B, classes]``; classes without a prototype are farther than any other.

    Before there is any prototype, the client's own head decides.
    """
    z, known = net.features(params, x), prototypes["known"] > 0
    apart = torch.cdist(z, prototypes["mean"], compute_mode="donot_use_mm_for_euclid_dist").square()
    farthest = apart.amax(1, keepdim=True) + 1
    return torch.where(known.any(), -torch.where(known, apart, farthest), net.head(params, z))


@register_method("fedproto", paper="Tan et al. 2022, AAAI, arXiv:2105.00243, algorithm 1", family="features")
class FedProto(Method):
    """theta_i ~ argmin F_i + lam mean_j ||z_j - P_y||^2 / d; P_c <- sum_i n_ic p_ic / sum_i n_ic, p_ic the class mean.

    The mean over clients is the paper's, by samples; the official code's is plain. The pull is on every sample, as in
    that code, not on the mean of a batch. Prediction is by the nearest of all prototypes, not only of own classes.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [0.1, 1.0, 10.0]}

    class Config(LocalSgdConfig):
        """Local SGD; the official code's lam."""

        lam: NonNegativeFloat = Field(1.0, description="pull of features towards their prototype; 0 is Local")
        predict: Literal["prototypes", "head"] = Field("prototypes", description="what classifies the features")

    def init(self, fed: Federation) -> State:
        """A model per client, and no prototypes yet."""
        return State(models=fed.per_client(fed.init_params()), prototypes=no_prototypes(fed))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train towards the prototypes, then collect feature sums and counts per class."""
        trained = self.trained(fed, state, state.models.rows(cohort), cohort)
        state.models.set_rows(cohort, trained)
        sums = fed.compute(feature_sums, trained, cohort)["sums"]
        up = fed.collect({"sums": sums, "counts": fed.class_counts[cohort]})
        state.prototypes = merged(state.prototypes, up["sums"], up["counts"])
        return state

    def trained(self, fed: Federation, state: State, start: Params, clients: Tensor) -> Params:
        """Local training towards the prototypes that were sent."""
        sent = fed.send(state.prototypes, clients)
        return fed.train(start, clients, self.config.sgd(), loss=Aligned(self.config.lam), aux=sent).params

    def served(self, state: State, params: Params, clients: Tensor) -> Served:
        """Own models, and what classifies their features."""
        if self.config.predict == "head":
            return Served(params)
        return Served(params, nearest_prototype, stacked(state.prototypes, len(clients)))

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Each client's own body under the shared prototypes."""
        return self.served(state, state.models.rows(clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Train the initial model towards the prototypes."""
        start = stacked(fed.init_params(), len(clients))
        return self.served(state, self.trained(fed, state, start, clients), clients)
