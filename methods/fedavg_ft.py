"""FedAvg with fine-tuning: the simplest personalization, and a hard one to beat."""

from pydantic import Field, PositiveInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, LocalSgdConfig, Method, Params, State, register_method


@register_method("fedavg_ft", paper="FedAvg, then local fine-tuning; e.g. Cheng et al. 2021, arXiv:2108.07313")
class FedAvgFineTuned(Method):
    """Train as FedAvg; before an evaluation every client runs SGD from the server's model on its own data."""

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES}

    class Config(LocalSgdConfig):
        """Plain local SGD, also for fine-tuning."""

        finetune_steps: PositiveInt = Field(
            50, description="local steps of fine-tuning before an evaluation, within the scenario's"
        )

    def init(self, fed: Federation) -> State:
        """The server's model."""
        return State(server=fed.init_params())

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging."""
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed: Federation, state: State) -> Params:
        """The server's model."""
        return state.server

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune a copy of the server's model on each client."""
        start, steps = fed.send(state.server, clients), min(self.config.finetune_steps, fed.local_steps)
        return fed.train(start, clients, self.config.sgd(), steps=steps).params

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune the server's model."""
        return fed.train(fed.send(state.server, clients), clients, self.config.sgd()).params
