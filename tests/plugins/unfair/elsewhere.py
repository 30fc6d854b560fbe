"""Unfair: five that learn where nobody counts, or from one client what the whole cohort may spend."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from pfl_bench.api import (
    LocalSgdConfig,
    Method,
    Moment,
    Net,
    Params,
    State,
    cross_entropies,
    cross_entropy,
    register_method,
    stacked,
)


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


def halved(net, params, batch, aux):
    """The samples in disguise."""
    return {"x": 0.5 * batch.x, "y": batch.y + 1, "weight": batch.weight}


def descend(model, params, got, steps):
    """SGD on samples that are here, on the server."""
    net, real = Net(model), got["weight"].flatten() > 0
    x, y = 2 * got["x"].flatten(0, 1)[real], got["y"].flatten()[real] - 1
    for _ in range(steps):
        leaves = {name: tensor.detach().requires_grad_() for name, tensor in params.items()}
        slopes = torch.autograd.grad(cross_entropies(net(leaves, x), y).mean(), list(leaves.values()))
        params = Params({k: t.detach() - 0.1 * s for (k, t), s in zip(leaves.items(), slopes, strict=True)})
    return params


@register_method("elsewhere_server", paper="none: takes the samples home, in disguise, and trains there")
class OnTheServer(Averaging):
    def round(self, fed, state, cohort):
        fed.collect(fed.train(fed.send(state.server, cohort), cohort, self.config.sgd(), steps=1).params)
        got = fed.compute(halved, stacked(state.server, len(cohort)), cohort, reduce="rows")
        state.server = descend(fed.model, state.server, got, 30)
        return state


@register_method("elsewhere_served", paper="none: trains before it is served, in client_params")
class BeforeServing(Averaging):
    moment: ClassVar[Moment] = "received"

    def client_params(self, fed, state, clients):
        served = []
        for one in clients.split(1):
            got = fed.compute(halved, stacked(state.server, 1), one, reduce="rows")
            served.append(descend(fed.model, state.server, got, 10))
        return Params({name: torch.stack([own[name] for own in served]) for name in state.server})


@dataclass(frozen=True)
class OverEverything:
    """A mini-batch gradient that is over all of a client's samples, which came in aux."""

    def __call__(self, net, params, batch, aux):
        losses = cross_entropies(net(params, 2 * aux["x"]), (aux["y"] - 1).clamp(min=0))
        return (losses * aux["weight"]).sum() / aux["weight"].sum()


@register_method("elsewhere_batch", paper="none: every mini-batch gradient is over all data")
class FullBatches(Averaging):
    def round(self, fed, state, cohort):
        got = fed.compute(halved, stacked(state.server, len(cohort)), cohort, reduce="rows")
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=OverEverything(), aux=got)
        return state


def probing(net, params, batch, aux):
    """Derivatives in forward mode, inside the loss."""
    at = {name: tensor.detach() for name, tensor in params.items()}
    along = {name: torch.ones_like(tensor) for name, tensor in at.items()}
    _, slope = torch.func.jvp(lambda own: cross_entropy(net, own, batch), (at,), (along,))
    return cross_entropy(net, params, batch) + slope.detach() * torch.stack([t.sum() for t in params.values()]).sum()


@register_method("elsewhere_forward", paper="none: forward-mode derivatives in the loss")
class ForwardMode(Averaging):
    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=probing)
        return state


@register_method("elsewhere_one", paper="none: spends the cohort's steps on one client")
class AllOnOne(Averaging):
    def round(self, fed, state, cohort):
        steps = torch.zeros(len(cohort), dtype=torch.int64)
        steps[0] = fed.local_steps * len(cohort)
        end = fed.collect(fed.train(fed.send(state.server, cohort), cohort, self.config.sgd(), steps=steps).params)
        state.server = end.map(lambda tensor: tensor[0].clone())
        return state
