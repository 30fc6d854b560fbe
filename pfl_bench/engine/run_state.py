"""The explicit state of a run: what a checkpoint keeps."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from pfl_bench.client.params import State
from pfl_bench.spec.scenario import Scenario

from . import checkpoint
from .events import Row
from .federation import Federation
from .meter import Costs, Phase
from .places import Place
from .selection import Picks


@dataclass
class RunState:
    """The explicit state of a run; what ``checkpoint`` keeps."""

    states: list[State]
    costs: Costs
    round: int = 0
    visits: int = 0
    history: list[Row] = field(default_factory=list)
    picks: Picks = field(default_factory=dict)

    def dumps(self, run_id: str) -> bytes:
        """As bytes, for a checkpoint of this run."""
        return checkpoint.dumps({**vars(self), "costs": self.costs.as_dict(), "run": run_id})

    @classmethod
    def loads(cls, data: bytes, device: torch.device, run_id: str, on_disk: bool | None = None) -> "RunState":
        """The inverse of ``dumps``; ValueError for damaged bytes, for another run's, and for fields of another type.

        ``on_disk``: where clients' rows are kept from now on (``checkpoint.loads``).
        """
        tree = checkpoint.loads(data, device, on_disk)
        of = tree.pop("run", None) if isinstance(tree, dict) else None
        if of != run_id:
            raise ValueError(f"a checkpoint of another run, {str(of)[:80]!r}")
        if set(tree) != {field.name for field in fields(cls)}:
            raise ValueError("a checkpoint with other fields")
        wrong = [name for name, value in tree.items() if not _LIKELY[name](value)]
        if wrong:
            raise ValueError(f"a checkpoint whose {', '.join(wrong)} is of another type")
        return cls(**{**tree, "costs": Costs(**tree["costs"])})

    def state(self, position: int) -> State:
        """The state for the client model at a position; a joint method has one for all."""
        return self.states[position % len(self.states)]

    def federation(self, place: Place, phase: Phase, scenario: Scenario) -> Federation:
        """What the method sees of a place, now."""
        allowed = scenario.adapt_allowance if phase == "adapt" else scenario.local_steps
        return Federation(
            place.group, self.costs, phase, allowed, self.round, self.visits / scenario.visits, scenario.visits
        )


def doubt(data: bytes | None, run_id: str) -> str:
    """Why a run must not go on from these bytes; "" if it may."""
    if data is None:
        return "its checkpoint is missing"
    try:
        RunState.loads(data, torch.device("cpu"), run_id)
    except ValueError as error:
        return str(error)
    return ""


def _count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _figures(value: Any) -> bool:
    """Costs by name; a counter that came later may be missing."""
    known = Costs().as_dict()
    return isinstance(value, dict) and all(
        name in known and type(figure) in (int, type(known[name])) and figure >= 0 for name, figure in value.items()
    )


def _pick(value: Any) -> bool:
    tensors = ("correct", "total", "loss")
    return (
        isinstance(value, dict)
        and type(value.get("validation_accuracy")) is float
        and _count(value.get("visits"))
        and all(isinstance(value.get(name), Tensor) for name in tensors)
        and isinstance(value.get("sums"), dict)
        and all(isinstance(sum, Tensor) for sum in value["sums"].values())
    )


_LIKELY: dict[str, Callable[[Any], bool]] = {
    "states": lambda value: isinstance(value, list) and bool(value) and all(isinstance(s, State) for s in value),
    "costs": _figures,
    "round": _count,
    "visits": _count,
    "history": lambda value: isinstance(value, list) and all(isinstance(row, dict) for row in value),
    "picks": lambda value: isinstance(value, dict) and all(map(_pick, value.values())),
}
"""What each field must look like."""
