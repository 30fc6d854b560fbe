"""Any method's state as bytes and back: tensors as safetensors, the rest as JSON. No pickle anywhere."""

import json
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from pfl_bench.client.params import Params, State

from .per_client import PerClient

_HEADER = "pfl_bench"
_PLAIN = (int, float, str, bool, type(None))


def _take_apart(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Replace the tensors of a tree by their paths; ``tensors`` receives them."""
    if isinstance(tree, Tensor):
        tensors[path] = tree.detach().cpu().contiguous().clone()
        return {"tensor": path}
    if isinstance(tree, _PLAIN):
        return {"plain": tree}
    if isinstance(tree, list | tuple):
        return {"list": [_take_apart(value, f"{path}/{i}", tensors) for i, value in enumerate(tree)]}
    if isinstance(tree, PerClient):
        return {"PerClient": _take_apart(tree.parts(), path, tensors)}
    for kind, container in (("State", State), ("Params", Params), ("dict", dict)):
        if isinstance(tree, container):
            items = vars(tree) if isinstance(tree, State) else tree
            if not all(isinstance(key, str) for key in items):
                raise TypeError(f"state at {path or '/'}: dictionary keys must be strings")
            return {kind: {key: _take_apart(value, f"{path}/{key}", tensors) for key, value in items.items()}}
    raise TypeError(f"state at {path or '/'} is a {type(tree).__name__}; only tensors and plain values are kept")


def _put_together(skeleton: dict[str, Any], tensors: dict[str, Tensor], device: torch.device) -> Any:
    ((kind, value),) = skeleton.items()
    if kind == "tensor":
        # A fresh allocation: the loaded one may be less aligned, which can change the last bit of a product.
        return tensors[value].clone().to(device)
    if kind == "plain":
        return value
    if kind == "PerClient":
        return PerClient.from_parts(_put_together(value, tensors, device))
    if kind == "list":
        return [_put_together(item, tensors, device) for item in value]
    items = {key: _put_together(item, tensors, device) for key, item in value.items()}
    if kind == "State":
        return State(**items)
    return Params(items) if kind == "Params" else items


def dumps(tree: Any) -> bytes:
    """Serialise a tree of tensors, plain values, lists, dicts, Params, PerClient and States.

    TypeError names the odd one.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(tree, "", tensors)
    return safetensors.torch.save(tensors, metadata={_HEADER: json.dumps(skeleton)})


def loads(data: bytes, device: torch.device | str = "cpu") -> Any:
    """Rebuild what ``dumps`` wrote, tensors on ``device``. ValueError if the bytes are damaged."""
    try:
        length = int.from_bytes(data[:8], "little")
        skeleton = json.loads(json.loads(data[8 : 8 + length])["__metadata__"][_HEADER])
        tensors = safetensors.torch.load(data)
        return _put_together(skeleton, tensors, torch.device(device))
    except (safetensors.SafetensorError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"damaged checkpoint: {error}") from error
