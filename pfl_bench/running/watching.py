"""What is told of runs while they are computed, and to whom."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from pfl_bench.engine.events import Event
from pfl_bench.spec.run import RunSpec

from .reuse import Standing


class Watcher(Protocol):
    """Who is told."""

    def listen(self, run: RunSpec, event: Event) -> None:
        """Something happened to a run."""


Watch = Callable[[Sequence[RunSpec], Standing], AbstractContextManager[Watcher]]
"""Starts watching some runs, with how the ledger stands to them."""


class Nobody:
    """Who hears nothing."""

    def listen(self, run: RunSpec, event: Event) -> None:
        """Nothing is done."""


def unwatched(runs: Sequence[RunSpec], standing: Standing) -> AbstractContextManager[Watcher]:
    """For runs that nobody looks at."""
    return nullcontext(Nobody())
