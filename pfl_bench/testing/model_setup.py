"""What client models are examined on: tiny clients, and single passes and trainings of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pfl_bench.client.backends import BACKENDS
from pfl_bench.client.batches import Batch
from pfl_bench.client.build import make_model
from pfl_bench.client.losses import cross_entropy
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import Params, stacked
from pfl_bench.client.requests import Served
from pfl_bench.client.sgd import Sgd
from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.pool import Pool
from pfl_bench.data.store import load_dataset
from pfl_bench.engine.clients import ClientGroup
from pfl_bench.engine.places import build_groups
from pfl_bench.registry import MODELS, base_name
from pfl_bench.spec.options import Options

from .harness import Harness
from .kit import ATOL, RTOL
from .setup import TinySetup, tiny_setup

CLIENTS, SAMPLES = 3, 6
FEW, SHORT = (1, 2, 20, 3), (3, 5, 20, 4)
"""Training samples of clients, too few for a batch. Two make batch normalisation too ill-conditioned to compare."""


IMAGES = "synthetic:classes=3,n=120,side=16,channels=3"
DATA = {
    "": IMAGES,
    "image": IMAGES,
    "table": "synthetic:kind=table,classes=3,n=120,features=12",
    "series": "synthetic:kind=series,classes=3,n=120,channels=3,time=32",
    "tokens": "synthetic:kind=tokens,classes=3,n=120,length=16,vocabulary=30",
}
"""What client models of each kind are examined on."""


@lru_cache(maxsize=8)
def _loaded(data: str) -> ArrayDataset:
    return load_dataset(data)


@dataclass(frozen=True)
class ModelContext:
    """The data that client models are examined on: a data set, or, if it is "", one of a kind that each takes."""

    data: str = ""

    def data_for(self, name: str) -> str:
        """The data set for a client model; images if it says nothing of the kinds it takes."""
        return self.data or DATA[MODELS.entry(base_name(name)).info.get("inputs", "").split(",")[0]]

    def dataset(self, name: str) -> ArrayDataset:
        """That data set, loaded."""
        return _loaded(self.data_for(name))

    def model(self, name: str) -> ClientModel:
        """The client model for this data; RequestError if it does not fit or breaks its contract."""
        data = self.dataset(name)
        return make_model(name, data.input, data.classes)

    def setup(self, name: str) -> TinySetup:
        """A tiny scenario with this client model."""
        own = tiny_setup(self.data_for(name), name, {"rule": "iid"}, clients=4)
        return own.but(visits=4, local_steps=4, eval_every=2)

    def backends(self, name: str) -> Sequence[str]:
        """Those that the client model can be run on."""
        needed = self.model(name).backend
        return [needed] if needed else ["loop", "vmap"]

    def samples(self, name: str) -> tuple[Params, Tensor]:
        """Stacked parameters of three clients that differ, and six samples each: ``[c, ...]`` and ``[c, B, ...]``."""
        inits = [self.model(name).init(seed) for seed in range(CLIENTS)]
        params = Params({key: torch.stack([init[key] for init in inits]) for key in inits[0]})
        pool = self.group(name, "auto").pool
        return params, pool.gather(torch.arange(CLIENTS * SAMPLES).view(CLIENTS, SAMPLES))[0]

    def group(self, name: str, backend: str) -> ClientGroup:
        """The clients of the tiny scenario."""
        setup = self.setup(name)
        (group,) = build_groups(setup.spec("fedavg"), setup.dataset, setup.partition, Options(backend=backend))
        return group


def without_gradient(name: str, context: ModelContext) -> list[str]:
    """Trainable parameters that a training pass does not reach."""
    model = context.model(name)
    params, x = model.init(0), context.samples(name)[1][0]
    leaves = {key: tensor.requires_grad_() for key, tensor in params.items() if key in model.trainable}
    batch = Batch(x, torch.zeros(len(x), dtype=torch.int64), torch.ones(len(x)), torch.arange(len(x)))
    value = cross_entropy(model.training(batch, params, padded=False), params, batch)
    found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return [key for key, gradient in zip(leaves, found, strict=True) if gradient is None]


@dataclass(frozen=True)
class DoublePool:
    """A pool whose samples come in double precision; all else is the pool's."""

    pool: Pool

    def __getattr__(self, name: str) -> Any:
        return getattr(self.pool, name)

    def gather(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """As the pool's."""
        x, y = self.pool.gather(indices)
        return x.double() if x.is_floating_point() else x, y


def train(
    name: str, context: ModelContext, backend: str, clients: Sequence[int] = (0, 1, 2, 3), sizes: Any = None,
    *, double: bool = False,
) -> Params:  # fmt: skip
    """Four steps of plain SGD from the initial weights of seed 0, stacked. ``double``: in double precision, but for the
    loss."""
    setup = context.setup(name)
    if sizes is not None:
        cut = tuple(own[:size] for own, size in zip(setup.partition.train, sizes, strict=True))
        setup = replace(setup, partition=replace(setup.partition, train=cut))
    harness = Harness("fedavg", setup, options=Options(backend=backend))
    start = harness.fed.init_params()
    if double:
        harness.group = replace(harness.group, pool=DoublePool(harness.group.pool))
        start = start.map(Tensor.double)
    fed, cohort = harness.fed, harness.clients(*clients)
    return fed.train(stacked(start, len(cohort)), cohort, Sgd(lr=0.05)).params


def furthest(a: Params, b: Params) -> tuple[str, float]:
    """Where two sets of tensors disagree most beyond the tolerance, and by how much; "" where they agree."""
    apart = [key for key in a if not torch.allclose(a[key], b[key], rtol=RTOL, atol=ATOL)]
    worst = {key: float((a[key] - b[key]).abs().max()) for key in apart}
    return max(worst.items(), key=lambda item: item[1]) if worst else ("", 0.0)


def logits(backend: str, model: ClientModel, params: Params, x: Tensor, counts: Tensor) -> Tensor:
    """Outputs ``[c, B, classes]`` of clients on their own samples."""
    with torch.no_grad():
        return BACKENDS[backend].logits(model, Served(params), x, counts)


def one(client: int, params: Params, x: Tensor, counts: Tensor) -> tuple[Params, Tensor, Tensor]:
    """One client's rows."""
    own = slice(client, client + 1)
    return params.map(lambda tensor: tensor[own]), x[own], counts[own]


def same(a: Params, b: Params) -> bool:
    """Whether two sets of tensors are equal bit for bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[key].numpy(), b[key].numpy(), equal_nan=True) for key in a)
