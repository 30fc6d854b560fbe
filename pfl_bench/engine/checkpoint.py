"""Any method's state as bytes and back: tensors as safetensors, the rest as JSON. No pickle anywhere.

In front stand the format's version and a SHA-256 of everything behind it: what was damaged is not believed.
"""

import hashlib
import json
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from pfl_bench.client.params import Params, State
from pfl_bench.errors import one_line

from .per_client import PerClient

_VERSION = b"pfl-bench checkpoint 2\n"
_START = len(_VERSION) + hashlib.sha256().digest_size
_HEADER = "pfl_bench"
_PLAIN = (int, float, str, bool, type(None))


def _take_apart(tree: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Replace the tensors of a tree by their paths; ``tensors`` receives them."""
    if isinstance(tree, Tensor):
        if tree.layout != torch.strided:
            raise TypeError(f"state at {path or '/'} is a tensor of layout {tree.layout}; only dense ones are kept")
        name = f"{len(tensors)}{path}"  # a key may hold a "/": its number tells a tensor from all others
        held = tree.detach().cpu().contiguous()
        place = held.untyped_storage().data_ptr()
        shared = any(place == other.untyped_storage().data_ptr() for other in tensors.values())
        tensors[name] = held.clone() if shared else held  # safetensors keeps no two of one memory; else copies cost it
        return {"tensor": name}
    if isinstance(tree, _PLAIN):
        return {"plain": tree}
    if isinstance(tree, list | tuple):
        kind = "tuple" if isinstance(tree, tuple) else "list"
        return {kind: [_take_apart(value, f"{path}/{i}", tensors) for i, value in enumerate(tree)]}
    if isinstance(tree, PerClient):
        return {"PerClient": _take_apart(tree.parts(), path, tensors)}
    for kind, container in (("State", State), ("Params", Params), ("dict", dict)):
        if isinstance(tree, container):
            items = vars(tree) if isinstance(tree, State) else tree
            if not all(isinstance(key, str) for key in items):
                raise TypeError(f"state at {path or '/'}: dictionary keys must be strings")
            return {kind: {key: _take_apart(value, f"{path}/{key}", tensors) for key, value in items.items()}}
    raise TypeError(f"state at {path or '/'} is a {type(tree).__name__}; only tensors and plain values are kept")


def _put_together(
    skeleton: dict[str, Any], tensors: dict[str, Tensor], device: torch.device, on_disk: bool | None
) -> Any:  # fmt: skip
    ((kind, value),) = skeleton.items()
    if kind == "tensor":
        # A fresh allocation: the loaded one may be less aligned, which can change the last bit of a product.
        return tensors[value].clone().to(device)
    if kind == "plain":
        return value
    if kind == "PerClient":
        return PerClient.from_parts(_put_together(value, tensors, device, on_disk), on_disk)
    if kind in ("list", "tuple"):
        inner = [_put_together(item, tensors, device, on_disk) for item in value]
        return inner if kind == "list" else tuple(inner)
    items = {key: _put_together(item, tensors, device, on_disk) for key, item in value.items()}
    if kind == "State":
        return State(**items)
    return Params(items) if kind == "Params" else items


def dumps(tree: Any) -> bytes:
    """Serialise a tree of tensors, plain values, lists, dicts, Params, PerClient and States.

    TypeError names the odd one.
    """
    tensors: dict[str, Tensor] = {}
    skeleton = _take_apart(tree, "", tensors)
    body = safetensors.torch.save(tensors, metadata={_HEADER: json.dumps(skeleton)})
    return _VERSION + hashlib.sha256(body).digest() + body


def loads(data: bytes, device: torch.device | str = "cpu", on_disk: bool | None = None) -> Any:
    """Rebuild what ``dumps`` wrote, tensors on ``device``. ValueError for anything else: its text says why.

    ``on_disk``: whether clients' rows are kept there from now on; None: as they were.
    """
    if not data.startswith(_VERSION):
        raise ValueError("damaged checkpoint: not one, or of another version")
    body = data[_START:]
    if hashlib.sha256(body).digest() != data[len(_VERSION) : _START]:
        raise ValueError("damaged checkpoint: its checksum does not match")
    try:
        length = int.from_bytes(body[:8], "little")
        skeleton = json.loads(json.loads(body[8 : 8 + length])["__metadata__"][_HEADER])
        return _put_together(skeleton, safetensors.torch.load(body), torch.device(device), on_disk)
    except Exception as error:  # whole, but not ours: whatever it is, it is no checkpoint
        raise ValueError(f"damaged checkpoint: {one_line(error)}") from error
