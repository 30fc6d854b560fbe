"""Unfair: through private parts of the federation and of the client model to gradients that nobody counts."""

import torch

from pfl_bench.api import LocalSgdConfig, Method, State, register_method


class Averaging(Method):
    """FedAvg, for the others to change."""

    moment = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed, state):
        return state.server


@register_method("private_meter", paper="none: sets the meter back and trains once more")
class Rewound(Averaging):
    def round(self, fed, state, cohort):
        for _ in range(3):
            before = fed.costs.local_steps
            state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
            fed._meter.local_steps = before + len(cohort) * fed.local_steps // 3
        return state


@register_method("private_group", paper="none: builds itself a second federation with another meter")
class SecondFederation(Averaging):
    def round(self, fed, state, cohort):
        free = type(fed)(fed._group, fed.costs, "train", fed.local_steps, fed.round, fed.progress)
        for _ in range(2):
            state.server = free.train_and_average(state.server, cohort, self.config.sgd())
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state


@register_method("private_model", paper="none: has an initial model made by the client model's own factory, many times")
class OwnNet(Averaging):
    def init(self, fed):
        tries = [fed.model.factory() for _ in range(3)]
        best = max(tries, key=lambda module: float(module.head.weight.norm()))
        return State(server=fed.init_params().map(torch.clone) | dict(best.named_parameters()))
