"""FedRoD: a generic head that is fair to all classes, and a personal one that adds what the client's own data say."""

from typing import Any

from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Batch,
    Federation,
    LocalSgdConfig,
    Method,
    Net,
    Params,
    Served,
    State,
    Tensors,
    cross_entropies,
    mean_over,
    register_method,
    stacked,
)

OWN = "personal."
"""Before the names of the personal head, which has the names of the generic one."""


def parted(params: Tensors) -> tuple[Params, Params]:
    """The shared model and the personal head out of what is trained and served together."""
    own = Params({k.removeprefix(OWN): p for k, p in params.items() if k.startswith(OWN)})
    return Params({k: p for k, p in params.items() if not k.startswith(OWN)}), own


def joined(shared: Params, own: Tensors) -> Params:
    """The inverse of ``parted``."""
    return shared | {OWN + k: p for k, p in own.items()}


def balanced_and_personal(net: Net, params: Tensors, batch: Batch, log_counts: Tensor) -> Tensor:
    """CE(G(z) + log n_i) moves body and generic head, CE(stop(G(z)) + P_i(stop(z))) the personal one, eq. 6 and 8."""
    shared, own = parted(params)
    z = net.features(shared, batch.x)
    generic = net.head(shared, z)
    balanced = cross_entropies(generic + log_counts, batch.y)
    personal = cross_entropies(generic.detach() + net.head(own, z.detach()), batch.y)
    return mean_over(batch, balanced + personal)


def both_heads(net: Net, params: Tensors, x: Tensor, aux: Any) -> Tensor:
    """G(z) + P_i(z)."""
    shared, own = parted(params)
    z = net.features(shared, x)
    return net.head(shared, z) + net.head(own, z)


@register_method(
    "fedrod", paper="Chen and Chao 2022, ICLR, arXiv:2107.00778, algorithm 1, linear variant", family="body and head"
)
class FedRoD(Method):
    """FedAvg on the balanced-softmax loss for body and generic head G; a personal head P_i learns the rest on top.

    n_i are the client's samples per class, which it does not send; a class that it lacks has log n_i = -inf. The
    personal heads start from the common initial head.
    """

    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Plain local SGD for both losses."""

    def init(self, fed: Federation) -> State:
        """The shared model and a personal head per client."""
        server = fed.init_params()
        return State(server=server, heads=fed.per_client(fed.split(server)[1]))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train everything together; average body and generic head by sample counts."""
        start = joined(fed.send(state.server, cohort), state.heads.rows(cohort))
        sgd, log_counts = self.config.sgd(), fed.class_counts[cohort].log()
        trained = fed.train(start, cohort, sgd, loss=balanced_and_personal, aux=log_counts)
        shared, own = parted(trained.params)
        state.server = fed.average(fed.collect(shared), cohort)
        state.heads.set_rows(cohort, own)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """Body and generic head."""
        return state.server

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Both heads on the shared body."""
        return Served(joined(fed.send(state.server, clients), state.heads.rows(clients)), both_heads)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Served:
        """Fit a fresh personal head beside the frozen shared model."""
        start = joined(fed.send(state.server, clients), stacked(state.heads.default, len(clients)))
        sgd, log_counts, own = self.config.sgd(), fed.class_counts[clients].log(), frozenset(start) - fed.model.names
        fitted = fed.train(start, clients, sgd, loss=balanced_and_personal, aux=log_counts, trainable=own)
        return Served(fitted.params, both_heads)
