"""What all code of a process shares and anybody may change: PyTorch's settings, streams of random numbers, the folder.

Numbers depend on it, so a run must leave it as it found it. PyTorch is looked at only where it is loaded.
"""

import os
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

State = Mapping[str, Any]
"""Values that compare by ``==``, by what they are of."""

RANDOM = ("torch's random numbers", "numpy's random numbers", "Python's random numbers")
"""Of these, the streams of random numbers."""


@dataclass(frozen=True)
class _Part:
    name: str
    read: Callable[[], Any]
    write: Callable[[Any], Any]


def read() -> State:
    """The state now; a part that cannot be read has its error's text instead."""
    found = {}
    for part in _parts():
        try:
            found[part.name] = part.read()
        except Exception as error:  # PyTorch refuses to tell of settings that contradict each other
            found[part.name] = str(error)
    return found


def changed(before: State, *, random_numbers: bool = True) -> list[str]:
    """Names of what is not as it was; without the streams of random numbers if they do not matter."""
    now = read()
    names = [name for name in before if before[name] != now.get(name)]
    return [name for name in names if random_numbers or name not in RANDOM]


def restore(before: State, names: Sequence[str] | None = None) -> None:
    """Put back what is not as it was, or what is named."""
    wanted = changed(before) if names is None else names
    for part in _parts():
        if part.name in wanted:
            part.write(before[part.name])


def _parts() -> list[_Part]:
    parts = [_Part("Python's random numbers", random.getstate, random.setstate), _Part("the folder", _folder, os.chdir)]
    if "numpy" in sys.modules:
        import numpy as np

        parts += [
            _Part("numpy's random numbers", _numpy_stream, _set_numpy_stream),
            _Part("numpy's handling of errors", np.geterr, lambda value: np.seterr(**value)),
        ]
    return parts + (_of_torch() if "torch" in sys.modules else [])


def _folder() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def _numpy_stream() -> tuple[Any, ...]:
    import numpy as np

    kind, keys, *rest = np.random.get_state(legacy=True)
    return (kind, bytes(keys), *rest)  # type: ignore[arg-type]


def _set_numpy_stream(state: tuple[Any, ...]) -> None:
    import numpy as np

    kind, keys, *rest = state
    np.random.set_state((kind, np.frombuffer(keys, dtype=np.uint32), *rest))


def _of_torch() -> list[_Part]:
    import torch
    from torch.backends import cuda, cudnn

    def set_deterministic(value: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(value[0], warn_only=value[1])

    def set_autocast(value: tuple[bool, ...]) -> None:
        for device, enabled in zip(("cpu", "cuda"), value, strict=True):
            torch.set_autocast_enabled(device, enabled)

    def set_convolutions(value: tuple[bool, ...]) -> None:
        cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cuda.matmul.allow_tf32 = value

    return [
        _Part("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
        _Part("torch's default device", lambda: str(torch.get_default_device()),
              lambda value: torch.set_default_device(None if value == "cpu" else value)),
        _Part("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
        _Part("torch's inference mode", torch.is_inference_mode_enabled, lambda value: None),
        _Part("torch's deterministic mode",
              lambda: (torch.are_deterministic_algorithms_enabled(),
                       torch.is_deterministic_algorithms_warn_only_enabled()), set_deterministic),
        _Part("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Part("torch's precision of products", torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        _Part("torch's settings of convolutions and TF32",
              lambda: (cudnn.enabled, cudnn.benchmark, cudnn.deterministic, cudnn.allow_tf32, cuda.matmul.allow_tf32),
              set_convolutions),
        _Part("torch's autocasting",
              lambda: tuple(torch.is_autocast_enabled(device) for device in ("cpu", "cuda")), set_autocast),
        _Part("torch's flushing of tiny numbers",
              lambda: bool(torch.tensor(1e-310, dtype=torch.float64, device="cpu") / 2 == 0), torch.set_flush_denormal),
        _Part("torch's anomaly mode", torch.is_anomaly_enabled, torch.set_anomaly_enabled),
        _Part("torch's random numbers", lambda: torch.random.get_rng_state().numpy().tobytes(),
              lambda value: torch.random.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))),
    ]  # fmt: skip
