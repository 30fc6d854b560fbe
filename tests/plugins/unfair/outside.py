"""Unfair: what an earlier run learned, what no checkpoint finds, settings of the process."""

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


class Memory:
    """Lives as long as the process."""

    best = None


@register_method("outside_memory", paper="none: starts from where the last run of the process ended")
class Remembers(Averaging):
    def init(self, fed):
        return State(server=fed.init_params() if Memory.best is None else Memory.best.map(torch.clone))

    def round(self, fed, state, cohort):
        state = super().round(fed, state, cohort)
        Memory.best = state.server.map(torch.clone)
        return state


@register_method("outside_self", paper="none: keeps its momentum on self, where no checkpoint finds it")
class KeptOnSelf(Averaging):
    def __init__(self, config):
        super().__init__(config)
        self.last = None

    def round(self, fed, state, cohort):
        before = state.server
        state = super().round(fed, state, cohort)
        step = {name: state.server[name] - before[name] for name in before}
        if self.last is not None:
            state.server = state.server | {name: state.server[name] + 0.5 * self.last[name] for name in step}
        self.last = step
        return state


@register_method("outside_settings", paper="none: changes torch's settings for whoever runs next")
class Settings(Averaging):
    def init(self, fed):
        torch.manual_seed(0)
        torch.set_anomaly_enabled(True)
        return super().init(fed)
