"""PeFLL's embedding network: a client's samples in, a vector out."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import Batch, Federation, Net, Params, Tensors, UnsuitedError

from ._layers import add_layer, seeded

KERNELS, SIDE = 16, 16
"""Of the embedding network; images with a shorter side are too small for its convolutions."""


def init_embedding_network(fed: Federation, size: int) -> Params:
    """LeNet on images with a plane of ones or zeros per class; on smaller images, tables and series its dense layers
    alone. UnsuitedError for tokens, whose numbers have no order."""
    if fed.input.kind == "tokens":
        raise UnsuitedError("its embedding network takes images, tables and series, no tokens")
    channels, height, width = (*fed.input_shape, 1, 1)[:3]
    eta, inputs = Params(), math.prod(fed.input) + fed.classes
    with seeded(fed, "embedding network"):
        if fed.input.kind == "image" and min(height, width) >= SIDE:
            add_layer(eta, "conv1", nn.Conv2d(channels + fed.classes, KERNELS, 5))
            add_layer(eta, "conv2", nn.Conv2d(KERNELS, 2 * KERNELS, 5))
            inputs = 2 * KERNELS * (((height - 4) // 2 - 4) // 2) * (((width - 4) // 2 - 4) // 2)
        for name, before, after in (("fc1", inputs, 120), ("fc2", 120, 84), ("fc3", 84, size)):
            add_layer(eta, name, nn.Linear(before, after))
    return eta.map(lambda tensor: tensor.to(fed.device))


def embed(eta: Tensors, x: Tensor, labels: Tensor) -> Tensor:
    """A vector per sample, ``[B, k]``; ``labels`` are one-hot."""

    def layer(name: str, z: Tensor) -> Tensor:
        return F.linear(z, eta[f"{name}.weight"], eta[f"{name}.bias"])

    if "conv1.weight" in eta:
        z = torch.cat([x, labels[:, :, None, None].expand(-1, -1, *x.shape[2:])], 1)
        for name in ("conv1", "conv2"):
            z = F.relu(F.max_pool2d(F.conv2d(z, eta[f"{name}.weight"], eta[f"{name}.bias"]), 2))
    else:
        z = torch.cat([x.flatten(1), labels], 1)
    return layer("fc3", F.relu(layer("fc2", F.relu(layer("fc1", z.flatten(1))))))


def embedded(net: Net, eta: Tensors, batch: Batch, aux: None) -> dict[str, Tensor]:
    """The sum of the samples' vectors, and how many they are."""
    labels = batch.y.unsqueeze(1) == torch.arange(net.model.classes, device=batch.y.device)
    vectors = embed(eta, batch.x, labels.to(batch.x.dtype))
    return {"sum": (vectors * batch.weight.unsqueeze(1)).sum(0), "samples": batch.weight.sum()}


def embedding_gradient(net: Net, eta: Tensors, batch: Batch, slope: Tensor) -> dict[str, Tensor]:
    """(d v / d eta)^T slope for the mean vector v of a batch."""

    def along(at: dict[str, Tensor]) -> Tensor:
        found = embedded(net, at, batch, None)
        return (found["sum"] / found["samples"] * slope).sum()

    return torch.func.grad(along)(dict(eta))
