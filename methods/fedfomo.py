"""FedFomo: each client mixes in those of the others' models that do better than its own on samples it holds out."""

import numpy as np
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
    stacked,
    total_cross_entropy,
)


def fomo_weights(gains: Tensor, models: Params, own: Params) -> Tensor:
    """w_im = (L_i(theta_i) - L_i(theta_m)) / ||theta_m - theta_i||, ``[c, M]``; 0 for a model like the own.

    ``gains`` ``[c, M]``, ``models`` ``[c, M, ...]``, ``own`` ``[c, ...]``.
    """
    squares = [(models[name] - tensor.unsqueeze(1)).flatten(2).square().sum(2) for name, tensor in own.items()]
    apart = torch.stack(squares).sum(0).sqrt()
    return torch.where(apart > 0, gains / apart, 0.0)


def best_or_any(
    rng: np.random.Generator, scores: np.ndarray, others: list[int], most: int, epsilon: float
) -> list[int]:
    """Up to ``most`` of the others, each the best that is left (ties at random) or, by chance, any that is left."""
    left = [others[k] for k in np.lexsort((rng.random(len(others)), -scores[others]))]
    return [left.pop(rng.integers(len(left)) if rng.random() < epsilon else 0) for _ in range(min(most, len(left)))]


@register_method("fedfomo", paper="Zhang et al. 2021, ICLR, arXiv:2012.08565, section 3", family="relation")
class FedFomo(Method):
    """theta_i <- theta_i + sum_m w+_im (theta_m - theta_i), w+ = max(w, 0) / sum max(w, 0); then local SGD.

    L_i is the loss on a fixed part of the client's training samples, on which it never trains. The server adds w to
    its affinities and offers the models of greatest affinity. Clients that took no part yet have the initial model. The
    weights are the paper's; the authors' demo takes a softmax of them.
    """

    search_space = {"lr": LEARNING_RATES, "downloads": [5, 10]}

    class Config(LocalSgdConfig):
        """The authors' demo."""

        downloads: PositiveInt = Field(5, description="M, models that a client is sent")
        epsilon: float = Field(0.3, ge=0, le=1, description="chance of a random model")
        epsilon_decay: float = Field(0.05, ge=0, description="by which that chance falls every round")
        held_out: float = Field(0.2, gt=0, lt=1, description="share of the training samples that judges models")

    def init(self, fed: Federation) -> State:
        """A model per client, and no affinities yet."""
        affinity = torch.zeros(fed.clients, fed.clients, device=fed.device)
        return State(models=fed.per_client(fed.init_params()), affinity=affinity)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Offer models, mix, train on the samples that do not judge."""
        offered = self.offered(fed, state, cohort)
        start, weights = self.mixed(fed, state, state.models.rows(cohort), cohort, offered)
        state.affinity[cohort.unsqueeze(1), offered.to(fed.device)] += fed.collect({"weights": weights})["weights"]
        rest, _ = fed.part(self.config.held_out)
        trained = rest.train(start, cohort, self.config.sgd())
        state.models.set_rows(cohort, fed.collect(trained.params))
        return state

    def offered(self, fed: Federation, state: State, cohort: Tensor) -> Tensor:
        """Whose models each client is sent, epsilon-greedily by affinity: int64 ``[c, M]``, on the host."""
        epsilon = self.config.epsilon - self.config.epsilon_decay * fed.round
        scores = state.affinity[cohort].cpu().numpy()
        picks = []
        for client, own in zip(cohort.tolist(), scores, strict=True):
            others = [other for other in range(fed.clients) if other != client]
            rng = fed.generator("offered", client, fed.round)
            picks.append(best_or_any(rng, own, others, self.config.downloads, epsilon))
        return torch.tensor(picks, dtype=torch.int64)

    def mixed(
        self, fed: Federation, state: State, own: Params, clients: Tensor, offered: Tensor
    ) -> tuple[Params, Tensor]:
        """The clients' models with what they take from the offered ones ``[c, ...]``, and w ``[c, M]``."""
        models = state.models.rows(offered.flatten()).map(lambda t: t.view(*offered.shape, *t.shape[1:]))
        received, (_, held) = fed.send_each(models), fed.part(self.config.held_out)
        judged = Params({name: torch.cat([tensor.unsqueeze(1), received[name]], dim=1) for name, tensor in own.items()})
        losses = held.compute(total_cross_entropy, judged, clients, models=1 + offered.shape[1])
        losses = losses / held.sizes[clients].unsqueeze(1)
        moves = fed.model.trainable
        weights = fomo_weights(losses[:, :1] - losses[:, 1:], received.only(moves), own.only(moves))
        share = weights.clamp(min=0) / weights.clamp(min=0).sum(1, keepdim=True).clamp(min=1e-12)
        apart = {name: models - own[name].unsqueeze(1) for name, models in received.items()}
        return Params({name: own[name] + torch.einsum("cm,cm...->c...", share, apart[name]) for name in own}), weights

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The clients' own models, as training left them."""
        return state.models.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """A first visit: the initial model takes from models at random, then trains."""
        orders = [fed.generator("enrolled", client).permutation(state.models.clients) for client in clients.tolist()]
        offered = torch.from_numpy(np.stack(orders)[:, : self.config.downloads])
        start, _ = self.mixed(fed, state, stacked(fed.init_params(), len(clients)), clients, offered)
        return fed.part(self.config.held_out)[0].train(start, clients, self.config.sgd()).params
