"""FedAMP: the server sends each client a mixture of all clients' models, in which similar ones weigh more."""

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method

from ._proximal import Proximal


def attention(models: Tensor, clients: Tensor, alpha: float, sigma: float) -> Tensor:
    """xi_ij = alpha exp(-||w_i - w_j||^2 / sigma) / sigma for j != i, xi_ii = 1 - their sum: ``[c, n]``.

    ``models`` ``[n, P]``. The paper has alpha so small that xi_ii >= 0; where it is not, the others are scaled down.
    """
    apart = torch.cdist(models[clients], models, compute_mode="donot_use_mm_for_euclid_dist").square()
    own = torch.zeros_like(apart, dtype=torch.bool).scatter_(1, clients.unsqueeze(1), True)
    xi = (alpha / sigma * torch.exp(-apart / sigma)).masked_fill(own, 0.0)
    xi = xi / xi.sum(1, keepdim=True).clamp(min=1.0)
    return torch.where(own, 1 - xi.sum(1, keepdim=True), xi)


@register_method("fedamp", paper="Huang et al. 2021, AAAI, arXiv:2007.03797, algorithm 1", family="relation")
class FedAmp(Method):
    """u_i = sum_j xi_ij w_j (see ``attention``); w_i ~ argmin F_i(w) + lam / (2 alpha) ||w - u_i||^2, from u_i.

    alpha is constant (the authors let it decay). Cross-silo: by default more clients take part than elsewhere; the
    models of those that do not are the ones that they sent last. No rule for new clients, whom nobody attends to yet.
    """

    search_space = {"lr": LEARNING_RATES, "sigma": [10.0, 50.0, 200.0], "lam": [0.1, 1.0]}

    class Config(LocalSgdConfig):
        """The paper's names. With alpha / sigma = 1 / n all the others together weigh less than 1."""

        cohort: PositiveInt = 20
        alpha: PositiveFloat = Field(1.0, description="step size of the attention, and 1 / strength of the pull")
        sigma: PositiveFloat = Field(50.0, description="scale of squared distances between models")
        lam: NonNegativeFloat = Field(1.0, description="strength of the pull towards u_i")

    def init(self, fed: Federation) -> State:
        """A model per client."""
        return State(models=fed.per_client(fed.init_params()))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Send the mixtures, train from and towards them."""
        config, models = self.config, state.models.rows(fed.everyone)
        flat = torch.cat([tensor.flatten(1) for tensor in models.only(fed.model.trainable).values()], dim=1)
        xi = attention(flat, cohort, config.alpha, config.sigma)
        u = fed.send_each(models.map(lambda tensor: torch.tensordot(xi, tensor, dims=1)))
        loss = Proximal(config.lam / config.alpha)
        trained = fed.train(u, cohort, config.sgd(), loss=loss, aux=u)
        state.models.set_rows(cohort, fed.collect(trained.params))
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The clients' own models w_i."""
        return state.models.rows(clients)
