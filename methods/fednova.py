"""FedNova: clients that take more local steps do not count for more."""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Params, State, register_method

from .fedavg import FedAvg


def accumulated(steps: Tensor, momentum: float) -> Tensor:
    """||a_i||_1: how often the gradients of ``steps`` steps are in their sum, sum_k (1 - rho^k) / (1 - rho)."""
    tau = steps.float()
    return (tau - momentum * (1 - momentum**tau) / (1 - momentum)) / (1 - momentum)


@register_method("fednova", paper="Wang et al. 2020, NeurIPS, arXiv:2007.07481, FedNova", family="baseline")
class FedNova(FedAvg):
    """d_i = (w - w_i) / |a_i|; w <- w - tau_eff sum_i p_i d_i, with tau_eff = sum_i p_i |a_i| and p_i = n_i / sum n.

    |a_i| are the tau_i steps of the client, with momentum their accumulated weight. As in the paper clients train for
    equally many epochs: tau_i is proportional to n_i, the client with the most samples takes all of a visit's steps,
    and the others leave the rest of theirs unspent. With equal tau_i it is FedAvg. Decay and clipping are not in |a_i|.
    """

    search_space = {"lr": LEARNING_RATES}

    class Config(FedAvg.Config):
        """Local SGD; the server's optimiser, if there is one, steps along the normalised mean."""

        steps: Literal["by_size", "equal"] = Field("by_size", description="local steps: equally many epochs, or steps")

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Local steps by size; the mean of the normalised changes, as far as the clients go on average."""
        tau, moving = self.local_steps(fed, cohort), fed.model.trainable
        w = fed.send(state.server, cohort)
        done = fed.train(w, cohort, self.config.sgd(), steps=tau)
        trained, a = done.params, accumulated(done.steps, self.config.momentum)  # stragglers take fewer
        d = {k: (w[k] - trained[k]) / a.view(-1, *[1] * (w[k].dim() - 1)) for k in w if k in moving}
        mean = fed.average(fed.collect(trained | d), cohort)
        reach = fed.average(fed.collect({"a": a}), cohort)["a"]
        stepped = Params({k: state.server[k] - reach * mean[k] for k in d})
        state.server = self.config.server_step(fed, state, state.server, mean | stepped)
        return state

    def local_steps(self, fed: Federation, cohort: Tensor) -> Tensor:
        """tau_i, int64 ``[c]``."""
        share = fed.sizes[cohort] / fed.sizes.max() if self.config.steps == "by_size" else torch.ones_like(cohort)
        return (share * fed.local_steps).round().clamp(min=1).long()
