"""How to compute, as opposed to what."""

from dataclasses import dataclass
from typing import Literal

EXECUTORS = ("ray", "serial")
BACKENDS = ("auto", "loop", "vmap", "graph")
STATES = ("memory", "disk")


@dataclass(frozen=True)
class Options:
    """How to compute, as opposed to what; results may depend on ``backend`` and ``device`` in the last bits only.

    ``state``: whether personal state of the clients is in ``memory``, or in files on ``disk`` mapped into it.
    """

    device: str = "cpu"
    backend: str = "auto"
    checkpoint_seconds: float = 30.0
    state: Literal["memory", "disk"] = "memory"
