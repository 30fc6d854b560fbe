"""Unfair: what is served depends on what a client cannot have, or on who asks."""

from typing import ClassVar

import torch

from pfl_bench.api import LocalSgdConfig, Method, Moment, Served, State, register_method


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


def centred(net, params, x, aux):
    """Logits minus their mean over the test batch: balances classes over samples that nobody has together."""
    logits = net(params, x)
    return logits - logits.mean(0)


@register_method("serving_batch", paper="none: predictions use the statistics of the test batch")
class BatchStatistics(Averaging):
    def global_params(self, fed, state):
        return Served(state.server, centred)


def sharpened(net, params, x, aux):
    """One step on the entropy of its own predictions, on the test batch."""
    with torch.enable_grad():

        def entropy(at):
            logs = torch.log_softmax(net(at, x), -1)
            return -(logs.exp() * logs).sum(-1).mean()

        slope = torch.func.grad(entropy)(dict(params))
    return net({name: tensor - 1.0 * slope[name] for name, tensor in params.items()}, x)


@register_method("serving_entropy", paper="none: adapts to the test batch by entropy minimisation")
class EntropyMinimisation(Averaging):
    def global_params(self, fed, state):
        return Served(state.server, sharpened)


@register_method("serving_portion", paper="none: another model for whoever asks alone")
class AnotherForSome(Averaging):
    moment: ClassVar[Moment] = "received"

    def client_params(self, fed, state, clients):
        sent = fed.send(state.server, clients)
        return sent if len(clients) == fed.clients else sent.map(lambda tensor: 0.5 * tensor)


@register_method("serving_changes", paper="none: the state moves while models are evaluated")
class ChangesWhenAsked(Averaging):
    def global_params(self, fed, state):
        state.server = state.server.map(lambda tensor: 0.99 * tensor)
        return state.server


@register_method("serving_vectors", paper="none: trains to find out what the server knows of its clients")
class TrainsForVectors(Averaging):
    def client_vectors(self, fed, state):
        return fed.train(fed.send(state.server, fed.everyone), fed.everyone, self.config.sgd(), steps=1).losses
