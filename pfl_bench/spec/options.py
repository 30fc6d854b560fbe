"""How to compute, as opposed to what."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """How to compute, as opposed to what; results may depend on ``backend`` and ``device`` in the last bits only."""

    device: str = "cpu"
    backend: str = "auto"
    checkpoint_seconds: float = 30.0
