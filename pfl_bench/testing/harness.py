"""One method, a round at a time: for tests of a single step, and for trying a method out in a shell."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from pfl_bench.client.params import Params
from pfl_bench.client.requests import Served
from pfl_bench.engine.clients import client_ids
from pfl_bench.engine.evaluation import as_served
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.meter import Costs, Phase
from pfl_bench.engine.method import Method, Moment
from pfl_bench.engine.moments import serve
from pfl_bench.engine.places import build_places
from pfl_bench.engine.simulator import draw_cohort
from pfl_bench.registry import METHODS
from pfl_bench.spec.options import Options

from .setup import TinySetup, tiny_setup


class Harness:
    """A method after so many rounds on a tiny scenario, and what it meets there.

    >>> Harness("fedavg", rounds=2, lr=0.1).server  # doctest: +SKIP
    """

    def __init__(
        self, method: str, setup: TinySetup | None = None, *, rounds: int = 0, options: Options | None = None,
        position: int = 0, **config: Any,
    ) -> None:  # fmt: skip
        """``position``: which of the scenario's client models. ``config``: hyper-parameters."""
        self.setup = setup or tiny_setup()
        self.spec = self.setup.spec(method, **config)
        self.places = build_places(self.spec, self.setup.dataset, self.setup.partition, options or Options())
        self.group = self.places[position].group
        self.costs, self.rounds = Costs(), 0
        self.method: Method = METHODS.get(method)(self.spec.config)
        self.state = self.method.init(self.federation("init"))
        for _ in range(rounds):
            self.round()

    @property
    def fed(self) -> Federation:
        """The federation as the next round gets it."""
        return self.federation("train")

    def federation(self, phase: Phase, round: int | None = None, local_steps: int | None = None) -> Federation:
        """The federation in any phase."""
        scenario = self.setup.scenario
        allowed = scenario.adapt_allowance if phase == "adapt" else scenario.local_steps
        at = self.rounds if round is None else round
        progress = min(1.0, at * self.spec.config.cohort / scenario.visits)
        return Federation(self.group, self.costs, phase, local_steps or allowed, at, progress, scenario.visits)

    def clients(self, *ids: int) -> Tensor:
        """Client ids as the engine makes them; everybody, if none are given."""
        return client_ids(np.asarray(ids or range(len(self.group.members)), dtype=np.int64), self.group.device)

    def round(self, *ids: int) -> None:
        """One round with these clients, or with the cohort that the simulator would draw."""
        if not ids:
            ids = tuple(draw_cohort(self.spec.seed, self.rounds, len(self.group.members), self.spec.config.cohort))
        self.state = self.method.round(self.fed, self.state, self.clients(*ids))
        self.rounds += 1

    @property
    def server(self) -> Params:
        """What ``global_params`` returns."""
        return Params(as_served(self.method.global_params(self.federation("evaluate"), self.state)).params)

    @property
    def received(self) -> Params:
        """What ``client_params`` returns for everybody."""
        return Params(self.served("received").params)

    @property
    def adapted(self) -> Params:
        """What ``adapt`` returns for everybody."""
        return Params(self.served("adapted").params)

    def served(self, moment: Moment, *ids: int) -> Served:
        """What these clients, or all, use to predict at a moment, stacked."""
        phase: Phase = "adapt" if moment == "adapted" else "evaluate"
        return serve(self.method, self.federation(phase), self.state, moment, self.clients(*ids))

    def predict(self, moment: Moment, client: int, x: Tensor) -> Tensor:
        """A client's predictions ``[B, classes]`` for inputs ``[B, ...]``, as evaluation makes them."""
        served, own = self.served(moment), slice(client, client + 1)
        params, aux = (
            pytree.tree_map_only(Tensor, lambda leaf: leaf[own], tree) for tree in (served.params, served.aux)
        )
        one = Served(params, served.predict, aux)
        found = self.group.backend.logits(self.group.model, one, x.unsqueeze(0), torch.ones(1, len(x)))
        return found[0]

    def tensors(self) -> list[Tensor]:
        """Every tensor of the state."""
        from .kit import tensors_of

        return tensors_of(self.state)

    def samples(self, client: int) -> tuple[Tensor, Tensor]:
        """A client's training samples ``x`` and labels ``y``, for computing by hand what a method should."""
        return self.group.pool.gather(torch.from_numpy(self.group.members[client]))
