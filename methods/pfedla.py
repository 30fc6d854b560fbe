"""pFedLA: a hypernetwork per client weighs all clients' models, layer by layer."""

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    Tensors,
    register_method,
    squared_distance,
)


def layer_weights(phi: Tensors) -> Tensor:
    """a_i[l, j] >= 0 with sum_j a_i[l, j] = 1, ``[c, layers, n]``, of the cohort's hypernetworks ``[c, ...]``."""
    hidden = torch.einsum("che,ce->ch", phi["trunk"], phi["embedding"]).relu()
    weights = torch.einsum("clnh,ch->cln", phi["heads"], hidden).relu() + 1e-6  # never 0 / 0
    return weights / weights.sum(2, keepdim=True)


def mixed(phi: Tensors, models: Tensors, layers: tuple[tuple[str, ...], ...]) -> Params:
    """theta_i^l = sum_j a_i[l, j] theta_j^l, ``[c, ...]``, of all clients' models ``[n, ...]``."""
    weights = layer_weights(phi)
    return Params(
        {
            name: torch.tensordot(weights[:, layer], models[name], dims=1)
            for layer, names in enumerate(layers)
            for name in names
        }
    )


@register_method("pfedla", paper="Ma et al. 2022, CVPR, arXiv:2205.03993, algorithm 1", family="hypernetwork")
class PFedLA(Method):
    """Sends theta_i = h(v_i; psi_i), receives SGD(theta_i); (v_i, psi_i) descend ||theta_i - SGD(theta_i)||^2 / 2.

    That is the vector-Jacobian product (d theta_i / d (v_i, psi_i))^T (theta_i - SGD(theta_i)). The hypernetworks have
    one hidden ReLU layer and start near the plain mean. The variant that keeps layers on the client is left out.
    No rule for new clients: they have neither a hypernetwork nor a model among those that are mixed.
    """

    search_space = {"lr": LEARNING_RATES, "hn_lr": [0.05, 0.01, 5e-3, 1e-3]}

    class Config(LocalSgdConfig):
        """The figures of the code that circulates, which is not the authors'."""

        hn_lr: PositiveFloat = Field(5e-3, description="learning rate of the hypernetworks")
        embedding: PositiveInt = Field(100, description="size of v_i")
        hidden: PositiveInt = Field(100, description="width of the hidden layer")

    def init(self, fed: Federation) -> State:
        """A model and a hypernetwork per client."""
        e, h, n, rng = self.config.embedding, self.config.hidden, fed.clients, fed.generator("hypernetworks")
        drawn = {
            "embedding": rng.standard_normal((n, e)),
            "trunk": rng.standard_normal((n, h, e)) / e**0.5,
            "heads": rng.uniform(size=(n, len(fed.model.layers), n, h)) / h,
        }
        phi = Params({name: torch.from_numpy(array).float().to(fed.device) for name, array in drawn.items()})
        return State(models=fed.per_client(fed.init_params()), phi=phi)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Mix and send, train, step the cohort's hypernetworks."""
        models, layers, phi = state.models.rows(fed.everyone), fed.model.layers, state.phi.rows(cohort)
        sent = fed.send_each(mixed(phi, models, layers))
        trained = fed.collect(fed.train(sent, cohort, self.config.sgd()).params)
        target = trained.only(fed.model.trainable)
        slope = torch.func.grad(lambda own: squared_distance(target, mixed(own, models, layers)) / 2)(phi)
        state.phi.set_rows(cohort, {name: phi[name] - self.config.hn_lr * slope[name] for name in phi})
        state.models.set_rows(cohort, trained)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The mixtures, before any local step."""
        models = state.models.rows(fed.everyone)
        return mixed(state.phi.rows(clients), models, fed.model.layers)

    def client_vectors(self, fed: Federation, state: State) -> Tensor:
        """The learned embeddings."""
        return state.phi["embedding"]
