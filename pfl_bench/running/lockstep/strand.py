"""A run that can wait in the middle of what it does: its events come from a thread, but only one thread runs at a time.

So nothing is shared that was not shared before, and what threads have of their own (PyTorch's gradient mode, context
variables) stays each run's.
"""

import threading
import time
from collections.abc import Callable, Generator
from contextlib import closing
from contextvars import copy_context
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import torch

from pfl_bench.engine import clock
from pfl_bench.engine.events import Event


@dataclass(frozen=True)
class Answer:
    """What a strand waits for: a value, or an exception to be raised there; ``seconds``: the strand's share of work
    that was done for it meanwhile."""

    value: Any = None
    error: BaseException | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Said:
    """A strand has an event to tell, and goes on when it is resumed."""

    event: Event


@dataclass(frozen=True)
class Asked:
    """A strand waits for an answer. ``gradients``: PyTorch's gradient mode there."""

    request: Any
    gradients: bool


@dataclass(frozen=True)
class Ended:
    """A strand is over; ``error``: what it ended with, if that is no event."""

    error: BaseException | None = None


class Strand:
    """``work(strand)`` is a generator of events, which runs only within ``resume`` and may ``ask`` in between."""

    def __init__(self, work: Callable[["Strand"], Generator[Event, None, None]]) -> None:
        self._work = work
        self._answers: SimpleQueue[Answer] = SimpleQueue()
        self._heard: SimpleQueue[Said | Asked | Ended] = SimpleQueue()
        self.over = False
        context = copy_context()
        self._thread = threading.Thread(target=lambda: context.run(self._run), daemon=True, name="run in lock-step")

    def resume(self, answer: Answer = Answer()) -> Said | Asked | Ended:
        """Let it run until it says or asks something, or ends."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._answers.put(answer)
        heard = self._heard.get()
        self.over = isinstance(heard, Ended)
        return heard

    def close(self) -> None:
        """End it where it waits, as a generator is closed; one that runs, where it will wait next."""
        if self._thread.ident is None or self.over:
            self.over = True
            return
        self._answers.put(Answer(error=GeneratorExit()))
        self._thread.join(CLOSE_SECONDS)
        self.over = True

    def ask(self, request: Any) -> Any:
        """In the strand: wait for what somebody else makes of a request."""
        started = time.perf_counter()
        self._heard.put(Asked(request, torch.is_grad_enabled()))
        answer = self._answers.get()
        clock.leave_out(time.perf_counter() - started - answer.seconds)
        if answer.error is not None:
            raise answer.error
        return answer.value

    def _run(self) -> None:
        torch.set_num_threads(1)  # OpenMP counts per thread
        error: BaseException | None = None
        try:
            with closing(self._work(self)) as events:
                for event in events:
                    self._heard.put(Said(event))
                    answer = self._answers.get()
                    if answer.error is not None:
                        raise answer.error
        except GeneratorExit:
            pass
        except BaseException as raised:
            error = raised
        self._heard.put(Ended(error))


CLOSE_SECONDS = 5.0
