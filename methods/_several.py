"""Several shared models: IFCA picks one of them per client, FedEM mixes them."""

import torch
from torch import Tensor

from pfl_bench.api import Federation, Params


def independent_models(fed: Federation, count: int) -> Params:
    """So many models ``[count, ...]``, the first every method's initial model: equal ones would never part."""
    seeds = fed.generator("clusters").integers(2**62, size=count - 1)
    models = [fed.init_params(), *(fed.model.init(int(seed), fed.device) for seed in seeds)]
    return Params({name: torch.stack([model[name] for model in models]) for name in models[0]})


def chosen(sent: Params, choice: Tensor) -> Params:
    """Of K models per client the one it picks: ``[c, K, ...] -> [c, ...]``."""
    return sent.map(lambda models: models[torch.arange(len(choice), device=choice.device), choice])
