"""Unfair: five that use public calls only, each where it must not, or in a way that a trace would not see."""

from dataclasses import dataclass
from typing import Any, ClassVar

from pfl_bench.api import LocalSgdConfig, Method, Moment, State, cross_entropy, register_method


class Averaging(Method):
    """FedAvg, for the others to change."""

    moment: ClassVar[Moment] = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed, state):
        return state.server


@register_method("hole_init", paper="none: fed.train in init(), 40 x the budget of a visit on every client")
class TrainsInInit(Method):
    Config = LocalSgdConfig

    def init(self, fed):
        start = fed.send(fed.init_params(), fed.everyone)
        models = fed.per_client(fed.init_params())
        models.set_rows(fed.everyone, fed.train(start, fed.everyone, self.config.sgd(), steps=800).params)
        return State(models=models)

    def round(self, fed, state, cohort):
        fed.collect(fed.train(fed.send(fed.init_params(), cohort), cohort, self.config.sgd(), steps=1).params)
        return state

    def client_params(self, fed, state, clients):
        return state.models.rows(clients)


@register_method("hole_received", paper="none: client_params ('before any local step') takes 500 local steps")
class TrainsWhenReceived(Averaging):
    moment: ClassVar[Moment] = "received"

    def client_params(self, fed, state, clients):
        return fed.train(fed.send(state.server, clients), clients, self.config.sgd(), steps=500).params


@register_method("hole_forgets", paper="none: FedPer that forgets the body when evaluated")
class ForgetsBody(Method):
    Config = LocalSgdConfig

    def init(self, fed):
        body, head = fed.split(fed.init_params())
        return State(body=body, heads=fed.per_client(head))

    def round(self, fed, state, cohort):
        end = fed.train(fed.send(state.body, cohort) | state.heads.rows(cohort), cohort, self.config.sgd()).params
        state.body = fed.average(fed.collect(end.only(state.body)), cohort)
        state.heads.set_rows(cohort, end)
        return state

    def client_params(self, fed, state, clients):
        return state.heads.rows(clients)  # "| body" is missing


@register_method("hole_schedule", paper="none: FedAvg whose loss reads an attribute that changes between rounds")
class Schedule(Averaging):
    def loss(self, net, params, batch, aux):
        return self.scale * cross_entropy(net, params, batch)

    def round(self, fed, state, cohort):
        self.scale = 1.0 - fed.progress
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=self.loss)
        return state


@dataclass(frozen=True)
class Decaying:
    """A frozen dataclass, but what it holds can change."""

    now: Any

    def __call__(self, net, params, batch, aux):
        return self.now["scale"] * cross_entropy(net, params, batch)


@register_method("hole_schedule_field", paper="none: the loss is a frozen dataclass with a dictionary in a field")
class ScheduleInAField(Averaging):
    def __init__(self, config):
        super().__init__(config)
        self.now = {"scale": 1.0}

    def round(self, fed, state, cohort):
        self.now["scale"] = 1.0 - fed.progress
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=Decaying(self.now))
        return state


NOW = {"scale": 1.0}


def decaying(net, params, batch, aux):
    return NOW["scale"] * cross_entropy(net, params, batch)


@register_method("hole_schedule_global", paper="none: the loss is a module's function that reads a dictionary there")
class ScheduleInAGlobal(Averaging):
    def round(self, fed, state, cohort):
        NOW["scale"] = 1.0 - fed.progress
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=decaying)
        return state
