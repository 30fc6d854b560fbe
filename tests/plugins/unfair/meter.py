"""Unfair: more gradients than the meter counts."""

from dataclasses import dataclass
from typing import ClassVar

import torch

from pfl_bench.api import (
    GradientRule,
    LocalSgdConfig,
    Method,
    Moment,
    State,
    cross_entropies,
    cross_entropy,
    register_method,
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


@dataclass(frozen=True)
class FiveForOne(GradientRule):
    """Five steps for the price of one: ``gradients`` stays 1."""

    def __call__(self, gradient, params, batches, aux, carry):
        at = params
        for _ in range(5):
            slope = gradient(at, batches[0])
            at = {name: at[name] - 0.1 * slope[name] for name in at}
        return {name: params[name] - at[name] for name in params}, carry


@register_method("meter_rule", paper="none: a gradient rule that says it costs less than it does")
class CheapRule(Averaging):
    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), rule=FiveForOne())
        return state


@dataclass(frozen=True)
class LearnsInside:
    """The loss after a step of its own on the same batch."""

    def __call__(self, net, params, batch, aux):
        def plain(at):
            return cross_entropy(net, at, batch)

        slope = torch.func.grad(plain)(dict(params))
        return plain({name: tensor - 0.1 * slope[name] for name, tensor in params.items()})


@register_method("meter_loss", paper="none: a loss that takes a gradient step of its own")
class LearningLoss(Averaging):
    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd(), loss=LearnsInside())
        return state


def learn(net, params, batch, aux):
    """Gradients inside a computation that says it takes none."""
    with torch.enable_grad():
        return torch.func.grad(lambda at: cross_entropy(net, at, batch))(params)


@register_method("meter_compute", paper="none: learns in fed.compute")
class LearnsInCompute(Averaging):
    def round(self, fed, state, cohort):
        for _ in range(10):
            slope = fed.compute(learn, fed.send(state.server, cohort), cohort, over=1)
            mean = {name: tensor.mean(0) for name, tensor in slope.items()}
            state.server = state.server | {name: state.server[name] - 0.1 * mean[name] for name in mean}
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state


def learn_without_the_net(net, params, batch, aux):
    """Gradients of a forward pass that it writes out itself."""
    with torch.enable_grad():
        x = batch.x.flatten(1)

        def loss(weight):
            return (cross_entropies(x @ weight.T, batch.y) * batch.weight).sum()

        return {"weight": torch.func.grad(loss)(aux)}


@register_method("meter_by_hand", paper="none: learns a linear model in fed.compute with a forward pass of its own")
class LearnsByHand(Averaging):
    def init(self, fed):
        size = next(iter(fed.init_params().values()))[0].numel()
        return State(server=fed.init_params(), weight=torch.zeros(fed.classes, size))

    def round(self, fed, state, cohort):
        if "hidden.weight" not in state.server:
            return super().round(fed, state, cohort)
        aux = state.weight.expand(len(cohort), *state.weight.shape)
        slope = fed.compute(learn_without_the_net, fed.send(state.server, cohort), cohort, aux=aux)["weight"]
        state.weight = state.weight - 0.01 * slope.mean(0)
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state


def the_samples(net, params, batch, aux):
    return {"x": batch.x.flatten(1), "y": batch.y[:, None].float()}


def by_hand(p, x):
    """The client model mlp, written out."""
    hidden = torch.relu(x @ p["hidden.weight"].T + p["hidden.bias"])
    return hidden @ p["head.weight"].T + p["head.bias"]


@register_method("meter_samples", paper="none: has the samples handed out by fed.compute, to learn from them uncounted")
class TakesTheSamples(Averaging):
    def round(self, fed, state, cohort):
        if "hidden.weight" in state.server:
            state.server = self.learned(fed, state.server, cohort)
        return super().round(fed, state, cohort)

    def learned(self, fed, server, cohort):
        got = fed.compute(the_samples, fed.send(server, cohort), cohort, reduce="rows")
        x, y = got["x"].flatten(0, 1), got["y"].flatten().long()
        p = {name: tensor.clone().requires_grad_() for name, tensor in server.items()}
        for _ in range(20):
            loss = cross_entropies(by_hand(p, x), y).mean()
            slope = torch.autograd.grad(loss, list(p.values()))
            p = {k: (t - 0.1 * g).detach().requires_grad_() for (k, t), g in zip(p.items(), slope, strict=True)}
        return server | {name: tensor.detach() for name, tensor in p.items()}


@register_method("meter_adapts", paper="none: adapts four times as long as the scenario allows")
class AdaptsTooLong(Averaging):
    moment: ClassVar[Moment] = "adapted"

    def adapt(self, fed, state, clients):
        start = fed.send(state.server, clients)
        return fed.train(start, clients, self.config.sgd(), steps=4 * fed.local_steps).params


@register_method("meter_absent", paper="none: computes on clients that do not take part in the round")
class ReadsTheAbsent(Averaging):
    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        rows = fed.compute(learn_nothing, fed.send(state.server, fed.everyone), fed.everyone)
        state.mean = fed.collect(rows)["sum"].mean(0)
        return state


def learn_nothing(net, params, batch, aux):
    return {"sum": (net.features(params, batch.x) * batch.weight[:, None]).sum(0)}
