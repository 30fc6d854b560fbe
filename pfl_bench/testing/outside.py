"""What lies outside a method's state and must be after a run as it was before: its modules' globals, the process."""

import hashlib
import sys
from collections.abc import Iterable, Mapping
from types import FunctionType, ModuleType
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from pfl_bench import global_state

Snapshot = dict[str, str]
"""A hash, or something as short, by what it is of."""


def process() -> Snapshot:
    """PyTorch's global settings and the global streams of random numbers."""
    return {name: _hash(value) for name, value in global_state.read().items()}


def restore() -> None:
    """Undo what a run may have done to the process's settings; the streams of random numbers stay where they are."""
    torch.set_default_dtype(torch.float32)
    torch.set_default_device(None)
    torch.set_grad_enabled(True)
    if torch.are_deterministic_algorithms_enabled():  # the call itself loads PyTorch's compiler, which takes seconds
        torch.use_deterministic_algorithms(False)
    torch.set_anomaly_enabled(False)


def kept(modules: Iterable[str]) -> Snapshot:
    """Everything changeable in the globals of some modules, and in the attributes of their functions and classes."""
    found: Snapshot = {}
    for module in modules:
        for name, value in vars(sys.modules[module]).items():
            foreign = isinstance(value, type | FunctionType) and value.__module__ != module
            if not (name.startswith("__") or isinstance(value, ModuleType) or foreign):
                found |= _attributes(f"{name}", value) if isinstance(value, type) else {name: _hash(value)}
    return found


def changed(before: Snapshot, after: Snapshot) -> list[str]:
    """The names of what differs."""
    return [name for name in {**before, **after} if before.get(name) != after.get(name)]


def _attributes(path: str, cls: type) -> Snapshot:
    """What a class holds. pydantic's own bookkeeping changes on first use and is left out."""
    names = cls.__class_vars__ if issubclass(cls, BaseModel) else vars(cls).keys()
    own = {name: vars(cls).get(name) for name in names if not name.startswith(("__", "_abc_"))}
    return {f"{path}.{name}": _hash(value) for name, value in own.items() if not isinstance(value, type)}


def _hash(value: Any) -> str:
    digest = hashlib.sha256()
    _feed(digest.update, value, set())
    return digest.hexdigest()


def _feed(update: Any, value: Any, above: set[int]) -> None:
    """Feed a value's content to a hash; what is inside itself, and what cannot be looked into, by its type."""
    update(type(value).__qualname__.encode())
    if id(value) in above:
        return
    above = above | {id(value)}
    if isinstance(value, Tensor):
        update(str((value.dtype, tuple(value.shape))).encode())
        update(
            value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes() if value.numel() else b""
        )
    elif isinstance(value, np.ndarray):
        update(str((value.dtype, value.shape)).encode() + value.tobytes())
    elif isinstance(value, int | float | complex | str | bytes | type(None)):
        update(repr(value).encode())
    else:
        for part in _parts(value):
            _feed(update, part, above)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return [part for item in value.items() for part in item]
    if isinstance(value, list | tuple):
        return value
    if isinstance(value, set | frozenset):
        return sorted(value, key=repr)
    if isinstance(value, FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or () if not _is_code(cell.cell_contents)]
        return [value.__defaults__, value.__kwdefaults__, vars(value), *cells]
    if isinstance(value, nn.Module):
        return list(value.state_dict().values())
    if isinstance(value, type | ModuleType) or not hasattr(value, "__dict__"):
        return []
    return list(vars(value).values())


def _is_code(value: Any) -> bool:
    return isinstance(value, type | ModuleType | FunctionType)
