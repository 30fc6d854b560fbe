"""FedCAC: weights that matter to a client are averaged only with clients to whom the same ones matter."""

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, Tensors, register_method

from ._masks import greatest, merged
from ._vectors import flat


def critical(before: Tensors, after: Tensors, tau: float) -> Params:
    """Per tensor the share tau of greatest |change * weight|, bool ``[c, ...]``; never what did not change."""
    found = {}
    for name, w in after.items():
        matter = ((w - before[name]) * w).abs()
        count = torch.full((len(w),), int(tau * w[0].numel()), device=w.device)
        found[name] = greatest(matter, count) & (matter > 0)
    return Params(found)


def companions(masks: Tensor, reached: float) -> Tensor:
    """Who is averaged with whom, rows that sum to 1, ``[c, c]``: oneself and those whose overlap reaches a threshold.

    Overlap o_ij = 1 - ||m_i - m_j||_1 / (2 ||m_i||_1); threshold mean o + ``reached`` (max o - mean o), over all pairs.
    """
    size = masks.sum(1)
    apart = size.unsqueeze(1) + size - 2 * masks @ masks.T
    oneself = torch.eye(len(masks), dtype=torch.bool, device=masks.device)
    overlap = (1 - apart / (2 * size.unsqueeze(1)).clamp(min=1)).masked_fill(oneself, 0.0)
    mean = overlap.sum() / max(1, len(masks) * (len(masks) - 1))
    with_whom = oneself | (overlap >= mean + reached * (overlap.max() - mean))
    return with_whom / with_whom.sum(1, keepdim=True)


@register_method("fedcac", paper="Wu et al. 2023, ICCV, arXiv:2309.11103, algorithm 1", family="relation")
class FedCac(Method):
    """Start m_i kappa_i + (1 - m_i) w: w the mean of all, kappa_i of those like i (``companions``), m_i what matters.

    m_i is found after a visit's steps (``critical``). The threshold rises from the mean overlap to the greatest while
    the share ``beta`` of the budget is spent; then nobody is like i. Deviations: means and overlaps are of the cohort;
    a client that is away keeps its kappa_i and m_i for its next visit, and w goes on. Cross-silo: by default more
    clients take part than elsewhere; with one client kappa_i is its own model. What did not change is never critical
    (in a circulating code ties at 0 may be). No rule for new clients, to whom no weights matter yet.
    """

    search_space = {"lr": LEARNING_RATES, "tau": [0.3, 0.5, 0.7], "beta": [0.2, 1 / 3, 0.8]}

    class Config(LocalSgdConfig):
        """The paper's figures for CIFAR-10, where beta is 100 of 300 rounds."""

        cohort: PositiveInt = 20
        tau: float = Field(0.5, ge=0, le=1, description="share of a tensor's weights that matter; 0 is FedAvg")
        beta: PositiveFloat = Field(1 / 3, description="share of the budget until nobody is like another")

    def init(self, fed: Federation) -> State:
        """w; per client kappa_i and m_i, which the server keeps."""
        server = fed.init_params()
        moves = server.only(fed.model.trainable)
        mask = moves.map(lambda tensor: torch.zeros_like(tensor, dtype=torch.bool))
        return State(server=server, kappa=fed.per_client(moves), mask=fed.per_client(mask))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train, find what matters, average with everybody and with companions."""
        start = self.client_params(fed, state, cohort)
        trained = fed.train(start, cohort, self.config.sgd()).params
        mask = fed.collect(critical(start, trained.only(state.kappa), self.config.tau))
        state.server = fed.average(fed.collect(trained), cohort, "uniform")
        share = companions(flat(mask).float(), fed.progress / self.config.beta)
        kappa = {k: torch.tensordot(share, trained[k], dims=1) for k in state.kappa}
        state.kappa.set_rows(cohort, kappa)
        state.mask.set_rows(cohort, mask)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The mean w."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """What matters to each from its kappa_i, the rest from w."""
        kappa, server = fed.send_each(state.kappa.rows(clients)), fed.send(state.server, clients)
        return merged(state.mask.rows(clients), kappa, server)
