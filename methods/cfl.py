"""CFL: federated averaging in clusters, which split in two where their clients' updates disagree."""

import numpy as np
import torch
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    register_method,
    zeros_like,
)

from ._vectors import cosines, flat


def bipartition(similarity: np.ndarray) -> np.ndarray:
    """Two groups, bool ``[m]``; the greatest similarity across is least: the most alike join until two are left."""
    group, left = np.arange(len(similarity)), len(similarity)
    for pair in np.argsort(-similarity, axis=None, kind="stable"):
        one, other = group[pair // len(group)], group[pair % len(group)]
        if one != other and left > 2:
            group[group == other] = one
            left -= 1
    return group != group[0]


@register_method("cfl", paper="Sattler et al. 2019, arXiv:1910.01991, algorithms 1 to 3", family="relation")
class Cfl(Method):
    """FedAvg in every cluster; it splits where ||mean_i d_i|| < eps1 and max_i ||d_i|| > eps2 for the updates d_i.

    Split by the cosine similarities of the d_i, so that the greatest similarity across is least. Both parts go on from
    the cluster's model. The thresholds are in units of an update, so they depend on lr, local steps and client model.
    Deviations: where not all clients take part in a round, their last updates are looked at, and a cluster waits until
    all its clients have had one since the last split. A split is not taken back by the paper's test on gamma, which its
    code has not either. Cross-silo: by default more clients take part than elsewhere. No rule for new clients: the
    paper's leads them through the tree of all splits, whose updates the server would have to keep.
    """

    search_space = {"lr": LEARNING_RATES, "eps1": [0.2, 0.4, 0.8], "eps2": [0.4, 0.8, 1.6]}

    class Config(LocalSgdConfig):
        """The thresholds of the authors' code, which splits from the 20th of 80 rounds on."""

        cohort: PositiveInt = 20
        eps1: NonNegativeFloat = Field(0.4, description="a cluster whose mean update is below may split; 0 is FedAvg")
        eps2: NonNegativeFloat = Field(1.6, description="if some client's update is above")
        earliest: float = Field(0.25, ge=0, le=1, description="share of the budget before the first split")

    def init(self, fed: Federation) -> State:
        """One cluster; everybody's last update, and whether it is of the present cluster."""
        model = fed.init_params()
        return State(
            models=model.map(lambda tensor: tensor.unsqueeze(0)),
            cluster=torch.zeros(fed.clients, dtype=torch.int64, device=fed.device),
            updates=fed.per_client(zeros_like(model.only(fed.model.trainable))),
            heard=torch.zeros(fed.clients, dtype=torch.bool, device=fed.device),
        )

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train the clusters' models, split clusters, average within what they are then."""
        sent = fed.send_each(state.models.rows(state.cluster[cohort]))
        trained = fed.collect(fed.train(sent, cohort, self.config.sgd()).params)
        state.updates.set_rows(cohort, {k: trained[k] - sent[k] for k in state.updates})
        state.heard[cohort] = True
        if fed.progress >= self.config.earliest:
            self.split(state)
        for cluster in torch.unique(state.cluster[cohort]):
            mine = state.cluster[cohort] == cluster
            state.models.set_rows(cluster, fed.average(trained.rows(mine), cohort[mine]))
        return state

    def split(self, state: State) -> None:
        """Part the clusters that are in disagreement."""
        for cluster in range(len(torch.unique(state.cluster))):
            members = (state.cluster == cluster).nonzero().flatten()
            if len(members) < 3 or not state.heard[members].all():
                continue
            updates = flat(state.updates.rows(members))
            if updates.mean(0).norm() < self.config.eps1 and updates.norm(dim=1).max() > self.config.eps2:
                apart = torch.from_numpy(bipartition(cosines(updates).cpu().numpy())).to(members.device)
                state.models = Params({k: torch.cat([t, t[cluster : cluster + 1]]) for k, t in state.models.items()})
                state.cluster[members[apart]] = len(torch.unique(state.cluster))
                state.heard[members] = False

    def client_clusters(self, fed: Federation, state: State, clients: Tensor) -> Tensor:
        """The clusters that there are."""
        return state.cluster[clients]

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The clusters' models."""
        return fed.send_each(state.models.rows(state.cluster[clients]))
