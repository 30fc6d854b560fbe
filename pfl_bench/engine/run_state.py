"""The explicit state of a run: what a checkpoint keeps."""

from dataclasses import dataclass, field

import torch

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

    def dumps(self) -> bytes:
        """As bytes, for a checkpoint."""
        return checkpoint.dumps({**vars(self), "costs": self.costs.as_dict()})

    @classmethod
    def loads(cls, data: bytes, device: torch.device) -> "RunState":
        """The inverse of ``dumps``; ValueError, TypeError or KeyError for anything else."""
        tree = checkpoint.loads(data, device)
        return cls(**{**tree, "costs": Costs(**tree["costs"])})

    def state(self, position: int) -> State:
        """The state for the client model at a position; a joint method has one for all."""
        return self.states[position % len(self.states)]

    def federation(self, place: Place, phase: Phase, scenario: Scenario) -> Federation:
        """What the method sees of a place, now."""
        allowed = scenario.adapt_allowance if phase == "adapt" else scenario.local_steps
        return Federation(place.group, self.costs, phase, allowed, self.round, self.visits / scenario.visits)
