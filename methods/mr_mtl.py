"""MR-MTL and L2GD: a personal model per client, pulled towards the mean of all of them."""

from pydantic import Field, NonNegativeFloat, PositiveFloat
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    PLAIN_LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    register_method,
)

from ._proximal import Proximal


@register_method("mr_mtl", paper="Liu et al. 2022, NeurIPS, arXiv:2206.07902, without noise", family="mixture")
class MrMtl(Method):
    """theta_i <- theta_i - lr (grad F_i(theta_i) + lam (theta_i - mean)), with the mean that was received.

    Nobody's model is overwritten; the mean is uniform over all clients, of which those that took no part yet have the
    initial model. The pull is part of the gradient, so momentum and clipping see it, as in Ditto, of which this is the
    half without a federated model. The authors train without momentum and with everybody in every round.
    """

    search_space = {"lr": LEARNING_RATES, "lam": [0.01, 0.1, 0.5, 2.0]}

    class Config(LocalSgdConfig):
        """Local SGD; the authors tune lam between 0.001 and 10."""

        lam: NonNegativeFloat = Field(0.1, description="pull towards the mean; 0 is Local")

    def init(self, fed: Federation) -> State:
        """The mean and the models that it is of."""
        mean = fed.init_params()
        return State(mean=mean, personal=fed.per_client(mean))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Steps from the own models towards the mean; what they changed goes up."""
        personal, mean = state.personal.rows(cohort), fed.send(state.mean, cohort)
        trained = self.towards(fed, personal, mean, cohort)
        moved = fed.collect({k: t - personal[k] for k, t in trained.items()})
        state.mean = Params({k: t + moved[k].sum(0) / fed.clients for k, t in state.mean.items()})
        state.personal.set_rows(cohort, trained)
        return state

    def towards(self, fed: Federation, start: Params, mean: Params, clients: Tensor) -> Params:
        """Local steps with the pull."""
        return fed.train(start, clients, self.config.sgd(), loss=Proximal(self.config.lam), aux=mean).params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal models."""
        return state.personal.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a personal model, from the mean and towards it."""
        mean = fed.send(state.mean, clients)
        return self.towards(fed, mean, mean, clients)


@register_method("l2gd", paper="Hanzely and Richtarik 2020, arXiv:2002.05516, algorithm 1", family="mixture")
class L2gd(Method):
    """K steps theta_i <- theta_i - lr grad F_i, then theta_i <- (1 - eta) theta_i + eta mean, eta = K lr lam.

    The paper tosses a coin before every step, with chance p for the mean, and then eta = lr lam (1 - p) / p. Here the
    coin is replaced by its expectation, p = 1 / (K + 1): the one step on the mean ends a visit of K local steps. eta is
    at most 1. The mean is of the cohort, because the algorithm has no models of clients that are away.
    """

    search_space = {"lr": PLAIN_LEARNING_RATES, "lam": [0.001, 0.01, 0.1, 1.0]}

    class Config(MethodConfig):
        """Plain SGD, as in the paper; lam and lr are tuned."""

        lr: PositiveFloat = Field(0.05, description="local learning rate")
        lam: NonNegativeFloat = Field(0.1, description="strength of the step towards the mean; 0 is Local")

    def init(self, fed: Federation) -> State:
        """A model per client, and the last mean."""
        mean = fed.init_params()
        return State(mean=mean, personal=fed.per_client(mean))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Local steps, a mean, and a step towards it."""
        trained = fed.train(state.personal.rows(cohort), cohort, Sgd(self.config.lr)).params
        state.mean = fed.average(fed.collect(trained), cohort, "uniform")
        state.personal.set_rows(cohort, self.nearer(fed, trained, fed.send(state.mean, cohort)))
        return state

    def nearer(self, fed: Federation, own: Params, mean: Params) -> Params:
        """The step towards the mean; running figures have none."""
        eta = min(1.0, fed.local_steps * self.config.lr * self.config.lam)
        return own | {k: (1 - eta) * own[k] + eta * mean[k] for k in own if k in fed.model.trainable}

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The personal models."""
        return state.personal.rows(clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """A visit that starts from the last mean, which stays as it is."""
        mean = fed.send(state.mean, clients)
        return self.nearer(fed, fed.train(mean, clients, Sgd(self.config.lr)).params, mean)
