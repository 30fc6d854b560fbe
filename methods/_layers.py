"""Layers that a method adds to what it shares: their parameters, drawn from a stream of their own."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from pfl_bench.api import Federation, Params


@contextmanager
def seeded(fed: Federation, stream: str) -> Iterator[None]:
    """Layers that are made within have weights of their own stream, the same on every device."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(fed.generator(stream).integers(2**63)))
        yield


def add_layer(params: Params, name: str, layer: nn.Module) -> None:
    """Enter a layer's parameters under a name."""
    params.update({f"{name}.{own}": tensor.detach() for own, tensor in layer.named_parameters()})
