"""Where the requests of runs in lock-step meet: those that are one computation are executed as one."""

import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from pfl_bench.client.backends import Backend
from pfl_bench.client.backends.joined import Together
from pfl_bench.client.model import ClientModel
from pfl_bench.client.requests import ComputeRequest, Trained, TrainRequest
from pfl_bench.data.pool import Pool

from .strand import Answer, Asked, Strand


@dataclass(frozen=True)
class Work:
    """A request to a back-end, and whose; ``size``: how much it is, in samples."""

    together: Together
    model: ClientModel
    pool: Pool
    request: TrainRequest | ComputeRequest

    @property
    def key(self) -> Hashable:
        """Equal for what can be executed together."""
        if isinstance(self.request, TrainRequest):
            return "train", self.together.training_key(self.model, self.pool, self.request)
        return "compute", self.together.computing_key(self.model, self.request)

    @property
    def size(self) -> int:
        """How much it is, in samples."""
        return max(1, self.request.plan.indices.numel())


def at_meeting(strand: Strand, backend: Backend) -> Backend:
    """A back-end for a run that has company: what it trains and computes, it asks for at the meeting.

    Back-ends that do nothing together work alone as ever.
    """
    together = backend.together
    if together is None:
        return backend

    def train(model: ClientModel, pool: Pool, request: TrainRequest) -> Trained:
        found: Trained = strand.ask(Work(together, model, pool, request))
        return found

    def compute(model: ClientModel, pool: Pool, request: ComputeRequest) -> tuple[Any, int]:
        found: tuple[Any, int] = strand.ask(Work(together, model, pool, request))
        return found

    return replace(backend, train=train, compute=compute)


def meet(asked: Sequence[Asked]) -> list[Answer]:
    """Answer what strands ask for, each in its place; what is one computation is done at once."""
    groups: dict[Hashable, list[int]] = {}
    for position, each in enumerate(asked):
        groups.setdefault((each.request.key, each.gradients), []).append(position)
    answers = [Answer()] * len(asked)
    for positions in groups.values():
        works = [asked[position].request for position in positions]
        with torch.set_grad_enabled(asked[positions[0]].gradients):
            for position, answer in zip(positions, _answers(works), strict=True):
                answers[position] = answer
    return answers


def _answers(works: Sequence[Work]) -> list[Answer]:
    """Of works that are one computation. If it fails, each is done alone: the one that is at fault fails alone."""
    started = time.perf_counter()
    try:
        found = _together(works)
    except Exception as error:
        if len(works) == 1:
            return [Answer(error=error, seconds=time.perf_counter() - started)]
        return [answer for work in works for answer in _answers([work])]
    seconds, size = time.perf_counter() - started, sum(work.size for work in works)
    return [Answer(own, seconds=seconds * work.size / size) for own, work in zip(found, works, strict=True)]


def _together(works: Sequence[Work]) -> Sequence[Any]:
    model, together = works[0].model, works[0].together
    parts: list[Any] = [(work.pool, work.request) for work in works]
    execute: Callable[[ClientModel, list[Any]], Sequence[Any]] = (
        together.train if isinstance(works[0].request, TrainRequest) else together.compute
    )
    if not together.allowed(model):
        return [execute(model, [part])[0] for part in parts]
    return execute(model, parts)
