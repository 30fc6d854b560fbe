"""FedBABU: only the body is trained and averaged; clients fine-tune the whole model at the end."""

from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Method, Params, State, register_method, stacked

from ._server_optimizer import ServerConfig


@register_method("fedbabu", paper="Oh et al. 2022, ICLR, arXiv:2106.06042, algorithm 1", family="body and head")
class FedBabu(Method):
    """body_i <- SGD under a head that stays at its random start, the same for everyone; the bodies are averaged.

    Evaluated after every client fine-tuned body and head. The head follows from the seed and is never sent.
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES}

    class Config(ServerConfig):
        """Plain local SGD, also for fine-tuning."""

    def init(self, fed: Federation) -> State:
        """The shared body and the head that everyone starts from."""
        body, head = fed.split(fed.init_params())
        return State(body=body, head=head, **self.config.server_memory(fed, body))

    def received(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """The sent body under the common head."""
        return fed.send(state.body, clients) | stacked(state.head, len(clients))

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Train the bodies and average them by sample counts."""
        start = self.received(fed, state, cohort)
        trained = fed.train(start, cohort, self.config.sgd(), trainable=fed.model.body).params
        mean = fed.average(fed.collect(trained.only(state.body)), cohort)
        state.body = self.config.server_step(fed, state, state.body, mean)
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The shared body under the untrained head."""
        return state.body | state.head

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune body and head on each client."""
        return fed.train(self.received(fed, state, clients), clients, self.config.sgd()).params

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """As any client: fine-tune body and head."""
        return self.adapt(fed, state, clients)
