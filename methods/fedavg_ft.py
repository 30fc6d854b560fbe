"""FedAvg with fine-tuning: the simplest personalization, and a hard one to beat."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt
from torch import Tensor

from pfl_bench.api import LEARNING_RATES, Federation, Params, State, register_method, total_cross_entropy

from ._proximal import Proximal
from .fedavg import FedAvg


@register_method(
    "fedavg_ft", paper="FedAvg, then local fine-tuning; e.g. Cheng et al. 2021, arXiv:2108.07313", family="baseline"
)
class FedAvgFineTuned(FedAvg):
    """Train as FedAvg; before an evaluation every client runs SGD from the server's model on its own data.

    Variants: only the head (linear probing); the head first, then all (LP-FT, Kumar et al. 2022, here at one learning
    rate and within the same steps); a pull towards the received model. With ``steps_tried`` each client takes the
    number of steps, or none, that has the least loss on a part of its training samples, which nobody trains on, in
    rounds neither. (A number for all clients together is found by tuning ``finetune_steps``.)
    """

    moment = "adapted"
    search_space = {"lr": LEARNING_RATES}

    class Config(FedAvg.Config):
        """Plain local SGD, also for fine-tuning."""

        finetune_steps: NonNegativeInt = Field(
            50, description="local steps of fine-tuning before an evaluation, within the scenario's"
        )
        scope: Literal["all", "head"] = Field("all", description="what is fine-tuned; the head: linear probing")
        schedule: Literal["together", "head_first"] = Field(
            "together", description="whether the head moves with the rest, or first alone (LP-FT)"
        )
        head_share: float = Field(0.5, gt=0, lt=1, description="share of the steps for the head, if it moves first")
        anchor: NonNegativeFloat = Field(0.0, description="pull towards the received model; 0: none")
        steps_tried: tuple[NonNegativeInt, ...] = Field(
            (), description="numbers of steps that each client chooses from, and 0; none: finetune_steps for all"
        )
        held_out: float = Field(0.2, gt=0, lt=1, description="share of a client's training samples to choose on")

    def round(self, fed: Federation, state: State, cohort: Tensor) -> State:
        """One round of federated averaging."""
        return super().round(self.parts(fed)[0], state, cohort)

    def adapt(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune a copy of the server's model on each client."""
        return self.fitted(fed, state, clients, self.config.finetune_steps)

    def enroll(self, fed: Federation, state: State, clients: Tensor) -> Params:
        """Fine-tune the server's model."""
        return self.fitted(fed, state, clients, fed.local_steps)

    def parts(self, fed: Federation) -> tuple[Federation, Federation]:
        """The clients with what they train on, and with what they choose on."""
        return fed.part(self.config.held_out) if self.config.steps_tried else (fed, fed)

    def fitted(self, fed: Federation, state: State, clients: Tensor, steps: int) -> Params:
        """The server's model after ``steps`` on each client, or after as many as the client chooses."""
        start, tried, (kept, held) = fed.send(state.server, clients), self.config.steps_tried, self.parts(fed)
        stops = sorted({min(n, fed.local_steps) for n in ((0, *tried) if tried else (steps,))})
        models = self.course(kept, start, clients, stops)
        if not tried:
            return models[-1]
        best = torch.stack([held.compute(total_cross_entropy, model, clients) for model in models]).argmin(0)
        each = torch.arange(len(best), device=best.device)
        return Params({k: torch.stack([model[k] for model in models])[best, each] for k in start})

    def course(self, fed: Federation, start: Params, clients: Tensor, stops: Sequence[int]) -> list[Params]:
        """The models at these numbers of steps along one course of fine-tuning."""
        probing = {"all": 0, "head": stops[-1]}[self.config.scope]
        if self.config.schedule == "head_first":
            probing = max(probing, round(self.config.head_share * stops[-1]))
        pull: dict[str, Any] = {"loss": Proximal(self.config.anchor), "aux": start} if self.config.anchor else {}
        found, momentum = {0: start}, None
        for at, stop in pairwise(sorted({0, probing, *stops})):
            trained = fed.train(
                found[at], clients, self.config.sgd(), steps=stop - at, momentum=momentum, **pull,
                trainable=fed.model.head if stop <= probing else None, stream=f"after {at}" if at else "batches",
            )  # fmt: skip
            found[stop], momentum = trained.params, trained.momentum
        return [found[stop] for stop in stops]
