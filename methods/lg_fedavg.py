"""LG-FedAvg: personal lower layers under a shared top."""

from pydantic import Field, NonNegativeInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method, stacked


@register_method("lg_fedavg", paper="Liang et al. 2020, arXiv:2001.01523, algorithm 1", family="body and head")
class LgFedAvg(Method):
    """Clients train everything; the server averages only the top ``shared_layers``, the rest stays local.

    It starts from a partly trained FedAvg model: for the share ``warm_start`` of the budget it is FedAvg.

    Deviations. The authors' code reports each client's best round on test data; here selection is on validation. By
    default the last layer alone is shared, as the method is described; in the code's CIFAR-10 runs the order of its
    layer names shares the convolutions instead. Means are weighted by training samples. The warm start is part of the
    budget, and evaluations in it, when the method is FedAvg, are not selected.
    """

    search_space = {"lr": LEARNING_RATES, "warm_start": [0.25, 0.5, 0.75]}

    class Config(LocalSgdConfig):
        """Local SGD, the split, and the warm start (the authors spend most of their rounds on it)."""

        shared_layers: NonNegativeInt = Field(1, description="how many of the last layers are shared")
        warm_start: float = Field(0.5, ge=0, le=1, description="share of the budget spent on FedAvg first")

    @property
    def selected_from(self) -> float:
        """The warm start is FedAvg."""
        return float(self.config.warm_start)

    def init(self, fed: Federation) -> State:
        """The server's whole model; local layers come into being when the warm start ends."""
        return State(server=fed.init_params(), local=None)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """FedAvg during the warm start; then train all, average the top, keep the rest."""
        if fed.progress < self.config.warm_start:
            state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
            return state
        if state.local is None:
            below, state.server = fed.split(state.server, self.config.shared_layers)
            state.local = fed.per_client(below)
        start = state.local.rows(cohort) | fed.send(state.server, cohort)
        trained = fed.train(start, cohort, self.config.sgd()).params
        state.server = fed.average(fed.collect(trained.only(state.server)), cohort)
        state.local.set_rows(cohort, trained)
        return state

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Each client's local layers under the shared top."""
        shared = fed.send(state.server, clients)
        return shared if state.local is None else state.local.rows(clients) | shared

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit fresh local layers under the frozen shared top; in the warm start, fine-tune the shared model."""
        shared = fed.send(state.server, clients)
        if state.local is None:
            return fed.train(shared, clients, self.config.sgd()).params
        local = fed.init_params().without(state.server)
        start = stacked(local, len(clients)) | shared
        return fed.train(start, clients, self.config.sgd(), trainable=frozenset(local)).params
