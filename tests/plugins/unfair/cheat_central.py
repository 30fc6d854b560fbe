"""Unfair: centralised training in init, before the first visit, on data behind the federation."""

import numpy as np
import torch

from pfl_bench.api import Batch, LocalSgdConfig, Method, Params, State, cross_entropy, register_method


def sgd_outside(fed, start, indices, steps, rng):
    p = {k: t.clone().requires_grad_() for k, t in start.items()}
    for _ in range(steps):
        at = torch.from_numpy(rng.choice(indices, size=min(64, len(indices)), replace=False)).to(fed.device)
        x, y = fed._group.pool.gather(at)
        batch = Batch(x, y, torch.ones(len(y), device=fed.device))
        loss = cross_entropy(fed.model.evaluating(), p, batch)
        for (k, t), g in zip(p.items(), torch.autograd.grad(loss, list(p.values())), strict=True):
            p[k] = (t - 0.1 * g).detach().requires_grad_()
    return Params({k: t.detach() for k, t in p.items()})


@register_method("cheat_central", paper="none: centralised training in init(), before the first visit")
class Central(Method):
    moment = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        everyone = np.concatenate(fed._group.members)
        return State(server=sgd_outside(fed, fed.init_params(), everyone, 20, fed.generator("central")))

    def round(self, fed, state, cohort):
        fed.collect(fed.train(fed.send(state.server, cohort), cohort, self.config.sgd(), steps=1).params)
        return state

    def global_params(self, fed, state):
        return state.server
