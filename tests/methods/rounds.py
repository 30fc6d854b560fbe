"""Rounds computed by hand: small worlds, and the steps and comparisons that their tests share."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pfl_bench.api import register_model
from pfl_bench.client.batches import Batch
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

PLAIN = {"momentum": 0.0, "weight_decay": 0.0, "clip_norm": None}
LOOP = Options(backend="loop")


def after(name: str, rounds: int = 4, **config) -> Harness:
    """A method after some rounds on the reference back-end."""
    return Harness(name, rounds=rounds, options=LOOP, **config)


def by_hand(name: str, local_steps: int = 1, **config) -> Harness:
    """A method whose every batch is all that a client has."""
    setup = tiny_setup().but(local_steps=local_steps, batch_size=32)
    return Harness(name, setup, options=LOOP, **config)


def slopes(harness: Harness, client: int, params, loss=None):
    """The gradient of a client's mean loss ``loss(net, params, batch)``, by default cross-entropy, at ``params``."""
    x, y = harness.samples(client)
    net, leaves = harness.fed.model.evaluating(), {k: t.detach().clone().requires_grad_() for k, t in params.items()}
    loss = loss or (lambda net, params, batch: F.cross_entropy(net(params, batch.x), batch.y))
    value = loss(net, leaves, Batch(x, y, torch.ones(len(y))))
    found = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
    return dict(zip(leaves, found, strict=True))


def down(params, gradient, lr, names=None):
    """One step of plain gradient descent."""
    return {k: t - lr * gradient[k] if names is None or k in names else t for k, t in params.items()}


def row(params, position: int):
    return {k: t[position] for k, t in params.items()}


def mean(rows):
    return {k: sum(r[k] for r in rows) / len(rows) for k in rows[0]}


def same(found, expected):
    assert set(found) == set(expected)
    for name in found:
        assert torch.equal(found[name], expected[name]), name


def close(found, expected):
    assert set(found) == set(expected)
    for name in found:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-4, atol=1e-6)


def differ(found, other):
    assert any(not torch.allclose(found[name], other[name], atol=1e-4) for name in found)


def features(harness: Harness, params, client: int) -> tuple[Tensor, Tensor]:
    """Features and labels of a client's training samples, without ``fed.compute``."""
    x, y = harness.samples(client)
    return harness.group.model.evaluating().features(params, x), y


def class_sums(z: Tensor, y: Tensor, classes: int) -> tuple[Tensor, Tensor]:
    sums = torch.stack([z[y == label].sum(0) for label in range(classes)])
    return sums, torch.tensor([float((y == label).sum()) for label in range(classes)])


def close_or_same(a, b, exact: bool = True) -> None:
    assert set(a) == set(b)
    for name in a:
        torch.testing.assert_close(
            a[name], b[name], **({"rtol": 0, "atol": 0} if exact else {"rtol": 1e-4, "atol": 1e-5})
        )


def normed() -> str:
    """The name of a client model with BatchNorm, registered for one test."""

    @register_model("normed")
    def build(shape, classes):
        width = math.prod(shape)
        return nn.Sequential(nn.Flatten(), nn.Linear(width, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, classes))

    return "normed"


def numpy_slopes(harness: Harness, client: int, params):
    """The gradient of a client's mean cross-entropy with the client model ``mlp``, in NumPy and by hand."""
    x, y = (t.numpy() for t in harness.samples(client))
    x = x.reshape(len(x), -1).astype(np.float64)
    z = np.maximum(x @ params["hidden.weight"].T + params["hidden.bias"], 0)
    scores = z @ params["head.weight"].T + params["head.bias"]
    error = np.exp(scores - scores.max(1, keepdims=True))
    error = (error / error.sum(1, keepdims=True) - np.eye(len(params["head.bias"]))[y]) / len(y)
    back = (error @ params["head.weight"]) * (z > 0)
    return {
        "hidden.weight": back.T @ x,
        "hidden.bias": back.sum(0),
        "head.weight": error.T @ z,
        "head.bias": error.sum(0),
    }


def in_numpy(params):
    return {k: t.numpy().astype(np.float64) for k, t in params.items()}


def close_to_numpy(found, expected):
    assert set(found) == set(expected)
    for name in found:
        np.testing.assert_allclose(found[name].numpy(), expected[name], rtol=1e-4, atol=1e-6)
