"""What a run has cost, counted where it happens, and which phase of a run may spend what."""

from dataclasses import asdict, dataclass, replace
from typing import Literal

Phase = Literal["init", "train", "evaluate", "adapt", "enroll"]

TRAINING: tuple[Phase, ...] = ("init", "train")
"""The phases whose work is in the budget; that of the others is counted apart."""

STREAM: dict[Phase, str] = {"adapt": "evaluate"}
"""The phase's name among the coordinates of random numbers, where it is not its own (from version 1)."""


@dataclass
class Costs:
    """Traffic in bytes, work in mini-batch gradients and samples, times in seconds.

    ``local_steps``: gradients in ``init`` and ``round``. ``adapt_steps``: gradients to adapt models before an
    evaluation or for new clients, not part of the budget. ``forward_samples``: samples that ``fed.compute`` passed
    through a model in training; ``adapt_forward_samples``: elsewhere. ``asked_visits``: visits that clients were asked
    for, whether they were there or not; ``asked_steps``: gradients that those were asked for in ``init`` and ``round``
    who were there, whether they did them or not.
    """

    bytes_down: int = 0
    bytes_up: int = 0
    local_steps: int = 0
    samples: int = 0
    adapt_steps: int = 0
    forward_samples: int = 0
    adapt_forward_samples: int = 0
    train_seconds: float = 0.0
    eval_seconds: float = 0.0
    asked_visits: int = 0
    asked_steps: int = 0

    def as_dict(self) -> dict[str, int | float]:
        """The counters by name."""
        return asdict(self)

    def copy(self) -> "Costs":
        """The counters as they stand."""
        return replace(self)


class BudgetError(RuntimeError):
    """A method took more than it may, or did in a phase what must not be done there."""
