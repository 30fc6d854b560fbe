"""FedRep: a shared body under personal heads; a visit trains the head first, then the body."""

from pydantic import Field
from torch import Tensor

from pfl_bench.api import (
    LEARNING_RATES,
    Federation,
    LocalSgdConfig,
    Method,
    Params,
    State,
    UnsuitedError,
    register_method,
    stacked,
)


@register_method("fedrep", paper="Collins et al. 2021, ICML, arXiv:2102.07078, algorithm 1")
class FedRep(Method):
    """h_i <- SGD under the frozen received body; body_i <- SGD under the frozen h_i; the bodies are averaged.

    Evaluated as in the authors' code, after the heads were trained anew under the final body. Deviation: the heads
    start from the common initial model's.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES, "head_share": [0.5, 0.7, 0.9]}

    class Config(LocalSgdConfig):
        """Local SGD; of a visit's epochs the authors give 10 of 11 (CIFAR-10) or 10 of 15 (CIFAR-100) to the head."""

        head_share: float = Field(0.9, gt=0, lt=1, description="share of a visit's local steps for the head")

    def init(self, fed: Federation) -> State:
        """A shared body and a head per client, all from the common initial model."""
        body, head = fed.split(fed.init_params())
        return State(body=body, heads=fed.per_client(head))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Head steps, then body steps; average the bodies by sample counts."""
        head_steps = round(self.config.head_share * fed.local_steps)
        body_steps = fed.local_steps - head_steps
        if not head_steps or not body_steps:
            raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between FedRep's head and body")
        fitted = self.fit_heads(fed, self.client_params(fed, state, cohort), cohort, head_steps)
        trained = fed.train(fitted, cohort, self.config.sgd(), steps=body_steps, trainable=fed.model.body).params
        state.body = fed.average(fed.collect(trained.only(state.body)), cohort)
        state.heads.set_rows(cohort, trained)
        return state

    def fit_heads(self, fed: Federation, start: Params, clients: Tensor, steps: int | None = None) -> Params:
        """Train the heads under frozen bodies."""
        sgd = self.config.sgd()
        return fed.train(start, clients, sgd, steps=steps, trainable=fed.model.head, stream="head").params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared body under each client's stored head."""
        return fed.send(state.body, clients) | state.heads.rows(clients)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Train each client's stored head under the shared body."""
        return self.fit_heads(fed, self.client_params(fed, state, clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a fresh head under the shared body."""
        start = fed.send(state.body, clients) | stacked(state.heads.default, len(clients))
        return self.fit_heads(fed, start, clients)
