"""Requests that exercise every part of a back-end, for tests that hold one to another."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.batches import BatchPlan
from pfl_bench.client.build import make_model
from pfl_bench.client.losses import GradientRule, cross_entropies, cross_entropy
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, squared_distance, zeros_like
from pfl_bench.client.requests import ComputeRequest, Trained, TrainRequest
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.inputs import InputSpec
from pfl_bench.data.pool import Pool, pool_of

MODEL = make_model("mlp", (1, 4, 4), 3)
CONV = make_model("lenet7", (3, 16, 16), 3)
CASES = ["plain", "proximal", "rule", "head only", "carried momentum", "groups", "uneven steps", "uneven rule"]
MODELS = {"dense": MODEL, "convolutional": CONV}
SIZES = np.array([[[6, 6]] * 4, [[1, 2]] * 4, [[3, 6], [6, 1], [2, 2], [5, 5]]])
TAKEN = np.array([4, 1, 2])


@dataclass(frozen=True)
class Near:
    """Cross-entropy near an anchor, which is ``aux``."""

    weight: float

    def __call__(self, net, params, batch, aux):
        return cross_entropy(net, params, batch) + self.weight * squared_distance(params, aux)


@dataclass(frozen=True)
class Lookahead(GradientRule):
    """Uses two batches and carries a running mean."""

    length: float = 0.1

    @property
    def draws(self):
        return 2

    @property
    def gradients(self):
        return 2

    def __call__(self, gradient, params, batches, aux, carry):
        first = gradient(params, batches[0])
        second = gradient({k: v - self.length * first[k] for k, v in params.items()}, batches[1])
        carry = {k: 0.5 * carry[k] + second[k] for k in second}
        return carry, {k: v.clone() for k, v in carry.items()}


def pool(model: ClientModel = MODEL) -> Pool:
    """Forty random samples that fit."""
    shape = (40, 16, 16, 3) if model is CONV else (40, 4, 4, 1)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, shape[:1], generator=generator)
    halves = (0.5,) * shape[-1]
    spec = InputSpec("image", (shape[3], *shape[1:3]))
    return pool_of(spec, images.numpy(), labels.numpy(), halves, halves, torch.device("cpu"))


def request(model: ClientModel = MODEL, clients: int = 3, taken: np.ndarray | None = None, **changes) -> TrainRequest:
    """Four steps of three clients with batches of other sizes each."""
    params = Params({k: torch.stack([v * (1 + 0.1 * c) for c in range(clients)]) for k, v in model.init(0).items()})
    generator = torch.Generator().manual_seed(1)
    plan = BatchPlan(torch.randint(0, 40, (clients, 4, 2, 6), generator=generator), SIZES[:clients], taken=taken)
    base: dict[str, Any] = {
        "params": params,
        "plan": plan,
        "sgd": Sgd(0.1, 0.9, 1e-3, 0.5),
        "trainable": tuple(params),
        "momentum": zeros_like(params),
    }
    return TrainRequest(**{**base, **changes})


def case(model: ClientModel, name: str) -> TrainRequest:
    """One of ``CASES``."""
    base = request(model)
    sgd, carry = base.sgd.but(model.head, lr=0.3, clip_norm=None, momentum=0.5), dict(zeros_like(base.params))
    changes: dict[str, dict[str, Any]] = {
        "plain": {},
        "proximal": {"loss": Near(0.3), "aux": dict(base.params)},
        "rule": {"rule": Lookahead(), "carry": carry},
        "head only": {"trainable": tuple(model.head), "momentum": zeros_like(base.params.only(model.head))},
        "carried momentum": {"momentum": base.params.map(torch.ones_like)},
        "groups": {"sgd": sgd},
        "uneven steps": {"taken": TAKEN},
        "uneven rule": {"taken": TAKEN, "rule": Lookahead(), "carry": carry, "sgd": sgd},
    }
    return request(model, **changes[name])


def alone(asked: TrainRequest, client: int, steps: int) -> TrainRequest:
    """What one client of a request does, as a request of its own, in so many steps."""
    own = slice(client, client + 1)
    plan = BatchPlan(asked.plan.indices[own, :steps], asked.plan.sizes[own, :steps])

    def cut(tree: Any) -> Any:
        return None if tree is None else {name: tensor[own] for name, tensor in tree.items()}

    return replace(
        asked, params=Params(cut(asked.params)), plan=plan, aux=cut(asked.aux), carry=cut(asked.carry),
        momentum=Params(cut(asked.momentum)),
    )  # fmt: skip


def train(backend: str, asked: TrainRequest, model: ClientModel = MODEL) -> Trained:
    """What a back-end makes of a request."""
    return BACKENDS[backend].train(model, pool(model), asked)


def assert_close(a: Trained, b: Trained, *, exact: bool = False) -> None:
    """Parameters, momentum, carry and losses agree."""
    rtol, atol = (0.0, 0.0) if exact else (1e-4, 1e-5)
    for field in ("params", "momentum", "carry"):
        ours, theirs = getattr(a, field), getattr(b, field)
        assert (ours is None) == (theirs is None)
        assert list(ours or {}) == list(theirs or {})
        for key in ours or {}:
            torch.testing.assert_close(ours[key], theirs[key], rtol=rtol, atol=atol)
    torch.testing.assert_close(a.losses, b.losses, equal_nan=True, rtol=rtol, atol=atol)


def class_sums(net, params, batch, aux):
    """Features summed per class, and how many there were: additive over samples."""
    z = net.features(params, batch.x) + aux["shift"]
    one_hot = torch.nn.functional.one_hot(batch.y, 3).float() * batch.weight.unsqueeze(1)
    return {"sums": one_hot.T @ z, "counts": one_hot.sum(0)}


def each_loss(net, params, batch, aux):
    """Cross-entropy and features per sample."""
    return cross_entropies(net(params, batch.x), batch.y), net.features(params, batch.x)


def label_counts(net, params, batch, aux):
    """Samples per class; asks nothing of the net."""
    return (torch.nn.functional.one_hot(batch.y, 3).float() * batch.weight.unsqueeze(1)).sum(0)


def slopes(net, params, batch, aux):
    """The gradient of the summed loss by the head's bias."""

    def loss(bias):
        return (cross_entropies(net({**params, "head.bias": bias}, batch.x), batch.y) * batch.weight).sum()

    return torch.func.grad(loss)(params["head.bias"])


LENGTHS = [7, 1, 5]
"""Samples of the three clients of a compute request: in chunks of 3, the last client has a part of a chunk."""


def compute_request(function, models: int | None = None, clients: int = 3, chunk: int = 3, **changes) -> ComputeRequest:
    """Samples 0..6, 10, 20..24 of the pool in chunks."""
    chunks = -(-max(LENGTHS) // chunk)
    own = [np.pad(np.arange(10 * i, 10 * i + n), (0, chunks * chunk - n), mode="edge") for i, n in enumerate(LENGTHS)]
    indices = torch.from_numpy(np.stack(own)).view(3, chunks, 1, chunk)[:clients]
    sizes = np.clip(np.array(LENGTHS)[:, None] - chunk * np.arange(chunks), 0, chunk)[:clients, :, None]
    params = request(clients=clients).params
    if models is not None:
        params = params.map(lambda p: torch.stack([p * (k + 1) for k in range(models)], dim=1))
    aux = {"shift": torch.arange(clients).float().view(clients, 1).expand(clients, 64)}
    return ComputeRequest(params, BatchPlan(indices, sizes), function, aux, models, **changes)
