"""How to compute, as opposed to what."""

import re
from dataclasses import dataclass
from typing import Literal

from pfl_bench.errors import RequestError, shown

EXECUTORS = ("auto", "ray", "serial")
BACKENDS = ("auto", "loop", "vmap", "lockstep", "graph")
STATES = ("memory", "disk")


@dataclass(frozen=True)
class Options:
    """How to compute, as opposed to what; results may depend on ``backend`` and ``device`` in the last bits only.

    ``lockstep``: how many runs of one method and scenario may train as one batch (``running.lockstep``); 1: each alone,
    None: as many as pays. ``state``: whether personal state of the clients is in ``memory``, or in files on ``disk``
    mapped into it. ``keep_models``: whether a run leaves the clients' models of its end.
    """

    device: str = "cpu"
    backend: str = "auto"
    checkpoint_seconds: float = 30.0
    state: Literal["memory", "disk"] = "memory"
    lockstep: int | None = 1
    keep_models: bool = False


MOST_GPUS = 127
"""The highest number of a GPU: PyTorch keeps it in eight bits, and takes ``cuda:256`` for ``cuda:0``."""


def check_device(name: str, where: str = "device") -> None:
    """RequestError for what is no device's name; whether it is there is another question (``resolve_device``)."""
    found = re.fullmatch(r"auto|cpu|mps|cuda(?::(0|[1-9][0-9]{0,2}))?", name)
    if not found or int(found[1] or 0) > MOST_GPUS:
        raise RequestError(f"{where}: {shown(name)} must be auto, cpu, cuda, cuda:N or mps")


def split_address(address: str, where: str = "address") -> tuple[str, int] | None:
    """Host and port of a Ray cluster's address, None for ``auto`` and ``local``; RequestError for any other form."""
    if address in ("auto", "local"):
        return None
    found = re.fullmatch(r"(?:ray://)?([A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", address)
    if not found or not 0 < int(found[2]) < 2**16 or not all(0 < len(part) < 64 for part in found[1].split(".")):
        raise RequestError(f"{where}: {shown(address)} must be HOST:PORT, ray://HOST:PORT or auto")
    return found[1].strip("[]"), int(found[2])
