"""``fed.compute`` on stacked clients, a few clients at a time so that memory stays bounded."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.batches import Batch
from pfl_bench.client.model import ClientModel
from pfl_bench.client.params import plain
from pfl_bench.client.requests import ComputeRequest
from pfl_bench.data.pool import Pool, on_device

COMPUTE_VALUES = 2**23
"""Sample values in memory at a time."""


def compute(model: ClientModel, pool: Pool, request: ComputeRequest) -> tuple[Any, int]:
    """As ``loop.compute``, several clients at once."""
    plan = request.plan
    together = max(1, COMPUTE_VALUES // (pool.values * plan.indices.shape[-1] * (request.models or 1)))
    groups = [range(first, min(first + together, plan.clients)) for first in range(0, plan.clients, together)]
    found, passes = zip(*(_group(model, pool, request, slice(own.start, own.stop)) for own in groups), strict=True)
    return pytree.tree_map(lambda *parts: torch.cat(parts), *found), max(1, *passes) * (request.models or 1)


def _group(model: ClientModel, pool: Pool, request: ComputeRequest, own: slice) -> tuple[Any, int]:
    given = () if request.aux is None else request.aux
    params, aux = (pytree.tree_map(lambda leaf: leaf[own], plain(tree)) for tree in (request.params, given))
    indices, sizes = request.plan.indices[own, :, 0], request.plan.sizes[own, :, 0]
    weights = on_device(torch.from_numpy((np.arange(indices.shape[-1]) < sizes[..., None]).astype(np.float32)),
                        indices.device)  # fmt: skip
    passes: list[int] = []

    def one(own_params: Any, batch: Batch, own_aux: Any) -> Any:
        net = model.computing(batch.weight, request.gradients)
        found = request.function(net, own_params, batch, None if request.aux is None else own_aux)
        passes.append(net.calls)
        return found

    each = one if request.models is None else torch.func.vmap(one, in_dims=(0, None, None))
    chunks = []
    for chunk in range(indices.shape[1]):
        x, y = pool.gather(indices[:, chunk])
        axes = (0, Batch(0, 0, 0, None), 0)  # type: ignore[arg-type]
        result = torch.func.vmap(each, in_dims=axes)(params, Batch(x, y, weights[:, chunk]), aux)
        chunks.append(_masked(request, result, weights[:, chunk]))
    if request.reduce == "sum":
        return pytree.tree_map(lambda *parts: sum(parts[1:], parts[0]), *chunks), max(passes)
    axis = 1 if request.models is None else 2
    joined = pytree.tree_map(lambda *parts: torch.cat(parts, dim=axis), *chunks)
    return _closed_up(joined, sizes, indices, axis), max(passes)


def _masked(request: ComputeRequest, tree: Any, weights: Tensor) -> Any:
    """Zeros for rows of padding, and for the sums of clients that have no sample in this chunk."""
    real = weights > 0

    def masked(leaf: Tensor) -> Tensor:
        if request.reduce == "sum":
            mask = real.any(1).view(-1, *[1] * (leaf.dim() - 1))
        else:
            lead = real if request.models is None else real.unsqueeze(1)
            mask = lead.view(*lead.shape, *[1] * (leaf.dim() - lead.dim()))
        return torch.where(mask, leaf, torch.zeros_like(leaf))

    return pytree.tree_map(masked, tree)


def _closed_up(tree: Any, sizes: np.ndarray, indices: Tensor, axis: int) -> Any:
    """Rows with the padding behind a client's last, which short mini-batches leave in between."""
    real = np.arange(indices.shape[-1]) < sizes[..., None]
    order = np.argsort(~real.reshape(len(real), -1), axis=1, kind="stable")
    if (order == np.arange(order.shape[1])).all():
        return tree
    places = on_device(torch.from_numpy(order), indices.device)

    def closed(leaf: Tensor) -> Tensor:
        shape = (len(places), *[1] * (axis - 1), places.shape[1], *[1] * (leaf.dim() - axis - 1))
        return torch.take_along_dim(leaf, places.view(shape), dim=axis)

    return pytree.tree_map(closed, tree)
