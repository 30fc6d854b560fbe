"""What a run has cost, counted where it happens."""

from dataclasses import asdict, dataclass


@dataclass
class Costs:
    """Traffic in bytes, work in mini-batch gradients (``local_steps``, ``adapt_steps``) and samples, times in s.

    ``adapt_steps`` are gradients taken to adapt models before an evaluation; they are not part of the budget.
    """

    bytes_down: int = 0
    bytes_up: int = 0
    local_steps: int = 0
    samples: int = 0
    adapt_steps: int = 0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0

    def as_dict(self) -> dict[str, int | float]:
        """The counters by name."""
        return asdict(self)
