"""FedSelect: each client makes those weights its own that change most."""

from dataclasses import dataclass
from typing import Any

import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor

from pfl_bench.api import (
    PLAIN_LEARNING_RATES,
    Batch,
    Federation,
    Gradient,
    GradientRule,
    Method,
    MethodConfig,
    Params,
    Sgd,
    State,
    Tensors,
    register_method,
    stacked,
)

from ._masks import greatest, merged


@dataclass(frozen=True)
class Alternating(GradientRule):
    """So many steps on the weights in the mask, which is ``aux``, then so many on the others; the carry counts."""

    steps: int

    def __call__(
        self, gradient: Gradient, params: Tensors, batches: tuple[Batch, ...], aux: Any, carry: Any
    ) -> tuple[Tensors, Any]:
        """The gradient of those whose turn it is."""
        own_turn = (carry // self.steps) % 2 == 0
        return {k: g * (aux[k] == own_turn) for k, g in gradient(params, batches[0]).items()}, carry + 1


@register_method("fedselect", paper="Tamirisa et al. 2024, CVPR, arXiv:2404.02478, algorithm 1", family="mixture")
class FedSelect(Method):
    """theta_i = own where m_i = 1, w elsewhere; steps on either part alternate; w is averaged where it is shared.

    A weight of w is the plain mean over the clients of the cohort that share it. At every third visit of a client, of
    each weight tensor's shared entries the quarter that changed most since the last time becomes its own, up to 80 %;
    biases are shared. Nothing is own at first, and then steps on it change nothing. Evaluated as by the authors, after
    local steps. Deviations: a cohort is drawn in every round (the authors' code has ten clients in the whole run). The
    visit alternates five times, theirs 15 with an epoch each. There masks first grow after the fourth visit, and norms
    may become personal too. Running figures are averaged. Whole models are metered, although own weights need not
    travel.
    """

    moment = "adapted"
    search_space = {"lr": PLAIN_LEARNING_RATES, "grown": [0.05, 0.25, 0.5], "most": [0.3, 0.5, 0.8]}

    class Config(MethodConfig):
        """The authors' code; plain SGD."""

        lr: PositiveFloat = Field(0.05, description="local learning rate")
        grown: float = Field(0.25, ge=0, le=1, description="p, share of the shared weights that becomes own at a time")
        most: float = Field(0.8, ge=0, le=1, description="alpha, share of own weights from which on none is added")
        every: PositiveInt = Field(3, description="a client's visits from one time to the next")
        alternations: PositiveInt = Field(5, description="turns of own and shared weights in a visit")

    def init(self, fed: Federation) -> State:
        """w; per client its weights, what they were when the mask last grew, the mask, and its visits."""
        server = fed.init_params()
        moves = server.only(fed.model.trainable)
        mask = fed.per_client(moves.map(lambda tensor: torch.zeros_like(tensor, dtype=torch.bool)))
        visits = torch.zeros(fed.clients, dtype=torch.int64, device=fed.device)
        own, before = fed.per_client(moves), fed.per_client(moves)
        return State(server=server, own=own, before=before, mask=mask, visits=visits)

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """Alternate, average what is shared, let masks grow."""
        mask = state.mask.rows(cohort)
        trained = self.alternated(fed, self.client_params(fed, state, cohort), mask, cohort)
        fed.collect(mask)
        state.server = averaged(fed.collect(trained), mask, state.server)
        state.own.set_rows(cohort, merged(mask, trained, stacked(state.server, len(cohort))))
        state.visits[cohort] += 1
        due = state.visits[cohort] % self.config.every == 0
        before = state.before.rows(cohort)
        changed = {k: (trained[k] - t).abs() for k, t in before.items()}
        state.mask.set_rows(cohort, {k: self.grown(mine, changed[k], due) for k, mine in mask.items()})
        seen = {k: due.view(-1, *[1] * (t.dim() - 1)) for k, t in before.items()}
        state.before.set_rows(cohort, merged(seen, trained, before))
        return state

    def alternated(self, fed: Federation, start: Params, mask: Params, clients: Tensor) -> Params:
        """A visit's steps, own weights first."""
        rule = Alternating(max(1, fed.local_steps // (2 * self.config.alternations)))
        turn = torch.zeros(len(clients), dtype=torch.int64, device=fed.device)
        return fed.train(start, clients, Sgd(self.config.lr), rule=rule, aux=mask, carry=turn).params

    def grown(self, mask: Tensor, changed: Tensor, due: Tensor) -> Tensor:
        """The mask of one tensor with the shared entries that changed most, for those clients who are due."""
        if mask.dim() < 3:
            return mask
        own = mask.flatten(1).float().mean(1)
        count = torch.round(self.config.grown * (1 - own) * mask[0].numel())
        fresh = greatest(changed.masked_fill(mask, -1.0), count * (due & (own <= self.config.most)))
        return mask | fresh

    def client_params(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Own weights, and the server's elsewhere."""
        return merged(state.mask.rows(clients), state.own.rows(clients), fed.send(state.server, clients))

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """After a visit's steps."""
        return self.alternated(fed, self.client_params(fed, state, clients), state.mask.rows(clients), clients)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """A first visit: nothing is own yet."""
        mask = stacked(state.mask.default, len(clients))
        return self.alternated(fed, fed.send(state.server, clients), mask, clients)


def averaged(trained: Params, mask: Params, server: Params) -> Params:
    """Means over those who share an entry, ``[c, ...] -> [...]``; entries that nobody shares stay."""
    mean = trained.map(lambda tensor: tensor.mean(0))
    for name, own in mask.items():
        count = (~own).sum(0)
        total = torch.where(own, 0.0, trained[name]).sum(0)
        mean[name] = torch.where(count > 0, total / count.clamp(min=1), server[name])
    return mean
