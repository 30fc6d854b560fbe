"""FedSim: any layers may be personal; a visit trains them together with the shared ones."""

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Params, State, register_method

from ._personal_part import SubsetConfig, fitted, parted, parted_in_time, received, returned, untrained


@register_method("fedsim", paper="Pillutla et al. 2022, ICML, arXiv:2204.03809, FedSim", family="body and head")
class FedSim(Method):
    """(u_i, v_i) <- SGD on both from (u, v_i); the u_i are averaged. With the last layer personal it is FedPer.

    As the authors do, FedAvg trains the whole model first (``warm_start``, part of the budget; evaluations in it are
    not selected), v_i starts from its layers, and v_i is fine-tuned under the final u before it is scored. Deviations:
    the authors' warm start is four fifths of the rounds; adapters and the like are not offered, layers are.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES, "personal": ["last", "first"], "warm_start": [0.0, 0.5]}

    class Config(SubsetConfig):
        """As the authors' code: the server takes the mean, unless it has an optimiser."""

    @property
    def selected_from(self) -> float:
        """The warm start is FedAvg."""
        return float(self.config.warm_start)

    def init(self, fed: Federation) -> State:
        """Everything is shared at first."""
        return parted(fed, self.config, frozenset())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train both parts at once; average the shared one by sample counts."""
        state = parted_in_time(fed, self.config, state)
        return returned(fed, self.config, state, cohort, self.visit(fed, state, cohort))

    def visit(self, fed: Federation, state: State, cohort: Tensor) -> Params:
        """What the clients have after their local steps."""
        return fed.train(received(fed, state, cohort), cohort, self.config.sgd()).params

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The shared part with each client's stored personal part."""
        return received(fed, state, clients)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune the personal part."""
        start, own = received(fed, state, clients), frozenset(state.heads)
        return fitted(fed, start, clients, self.config.sgd(), own, "head")

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fit a personal part, from the one that the warm start ended with."""
        start, own = untrained(fed, state, clients), frozenset(state.heads)
        return fitted(fed, start, clients, self.config.sgd(), own, "head")
