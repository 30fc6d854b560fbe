"""IFCA: several shared models; every client trains the one that fits its data best."""

from typing import Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    register_method,
    total_cross_entropy,
)

from ._several import chosen, independent_models


@register_method(
    "ifca", paper="Ghosh et al. 2020, NeurIPS, arXiv:2006.04088, algorithm 1, model averaging", family="relation"
)
class Ifca(Method):
    """k_i = argmin_k F_i(theta_k); theta_k <- mean of SGD(theta_k) over the clients with k_i = k.

    F_i is the loss on the client's training data, also when models are evaluated (the official code looks at the test
    set). A cluster that nobody picks stays. The models start from independent initial weights, as in the paper: from
    equal ones they would never part.
    """

    search_space = {"lr": LEARNING_RATES, "clusters": [2, 3, 4]}

    class Config(LocalSgdConfig):
        """Local SGD; the paper has 2 to 4 clusters."""

        clusters: PositiveInt = Field(2, description="K, number of shared models; 1 is FedAvg")
        weights: Literal["uniform", "samples"] = Field("uniform", description="of a cluster's clients in its mean")

    def init(self, fed: Federation) -> State:
        """K models, the first of which is every method's initial model."""
        return State(models=independent_models(fed, self.config.clusters))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Send all models; train the one of least loss; average within the clusters."""
        sent = fed.send(state.models, cohort)
        choice = self.choice(fed, sent, cohort)
        trained = fed.collect(fed.train(chosen(sent, choice), cohort, self.config.sgd()).params)
        for cluster in torch.unique(choice):
            mine = choice == cluster
            mean = fed.average(trained.rows(mine), cohort[mine], self.config.weights)
            state.models.set_rows(cluster, mean)
        return state

    def choice(self, fed: Federation, sent: Params, clients: Tensor) -> Tensor:
        """The model of least loss on each client's training data, int64 ``[c]``; ``sent`` is ``[c, K, ...]``."""
        losses: Tensor = fed.compute(total_cross_entropy, sent, clients, models=self.config.clusters)
        return losses.argmin(1)

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The model that each client picks."""
        sent = fed.send(state.models, clients)
        return chosen(sent, self.choice(fed, sent, clients))

    def client_clusters(self, fed: Federation, state: State, clients: Tensor) -> Tensor:
        """The number of the model that each client picks."""
        return self.choice(fed, fed.send(state.models, clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As any client: the model of least loss."""
        return self.client_params(fed, state, clients)
