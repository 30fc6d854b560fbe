"""A model in two parts: ``body``, which the server averages, and ``heads``, which stay with the clients.

Which names are personal is the method's choice: the last layers, the first, BatchNorm's, none.
"""

from typing import Literal

from pydantic import Field, NonNegativeInt
from torch import Tensor

from pfl_bench.api import ClientModel, Federation, Params, Sgd, State, UnsuitedError, stacked

from ._server_optimizer import ServerConfig


def parted(fed: Federation, config: ServerConfig, personal: frozenset[str]) -> State:
    """A shared part and a personal one per client, all from the common initial model."""
    start = fed.init_params()
    body = start.without(personal)
    return State(body=body, heads=fed.per_client(start.only(personal)), **config.server_memory(fed, body))


def received(fed: Federation, state: State, clients: Tensor) -> Params:
    """The sent shared part with each client's stored personal part."""
    return fed.send(state.body, clients) | state.heads.rows(clients)


def untrained(fed: Federation, state: State, clients: Tensor) -> Params:
    """The sent shared part with the personal part that everybody starts from."""
    return fed.send(state.body, clients) | stacked(state.heads.default, len(clients))


def returned(fed: Federation, config: ServerConfig, state: State, cohort: Tensor, trained: Params) -> State:
    """Average the shared parts by sample counts, leave the personal ones where they are."""
    mean = fed.average(fed.collect(trained.only(state.body)), cohort)
    state.body = config.server_step(fed, state, state.body, mean)
    state.heads.set_rows(cohort, trained)
    return state


def fitted(
    fed: Federation, start: Params, clients: Tensor, sgd: Sgd, personal: frozenset[str], stream: str = "batches"
) -> Params:
    """Train personal parts under frozen shared ones; where nothing is personal, nothing is spent."""
    return fed.train(start, clients, sgd, trainable=personal, stream=stream).params if personal else start


def alternately(
    fed: Federation, start: Params, cohort: Tensor, sgd: Sgd, personal: frozenset[str], share: float
) -> Params:
    """Train the personal part for a share of the visit's steps, then the shared part under it for the rest."""
    first = round(share * fed.local_steps)
    rest = fed.local_steps - first
    if not first or (not rest and share < 1):
        raise UnsuitedError(f"local_steps={fed.local_steps} cannot be divided between personal and shared part")
    fitted = fed.train(start, cohort, sgd, steps=first, trainable=personal, stream="head").params
    if not rest:
        return fitted
    return fed.train(fitted, cohort, sgd, steps=rest, trainable=frozenset(start) - personal).params


class SubsetConfig(ServerConfig):
    """Local SGD, which layers are personal, and how long none is."""

    personal: Literal["last", "first"] = Field("last", description="which end of the model is personal")
    personal_layers: NonNegativeInt = Field(1, description="how many layers are personal; 0: none")
    warm_start: float = Field(0.5, ge=0, le=1, description="share of the budget spent on FedAvg first")

    def chosen(self, model: ClientModel) -> frozenset[str]:
        """Names of the personal layers."""
        if self.personal == "last":
            return model.top(self.personal_layers)
        return model.names - model.top(max(0, len(model.layers) - self.personal_layers))


def parted_in_time(fed: Federation, config: SubsetConfig, state: State) -> State:
    """The state as it is in the warm start, when nothing is personal; once it is over, the chosen layers are."""
    personal = config.chosen(fed.model)
    if fed.progress >= config.warm_start and personal & frozenset(state.body):
        state.heads = fed.per_client(state.body.only(personal))
        state.body = state.body.without(personal)
    return state
