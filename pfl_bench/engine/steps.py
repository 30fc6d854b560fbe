"""How many local steps the clients of a cohort are asked for, and how many they do."""

import numpy as np
from torch import Tensor

from pfl_bench.errors import UnsuitedError

Steps = tuple[int, np.ndarray | None]
"""The most steps of a client, at least 1, and each client's own, int64 ``[c]``, where they differ."""


def steps_asked(steps: int | Tensor | None, cost: int, clients: int, local_steps: int) -> Steps:
    """What ``fed.train(steps=...)`` asks for; None: as many as ``local_steps`` gradients afford at ``cost`` each.

    UnsuitedError where they afford none; TypeError or ValueError for what is no number of steps.
    """
    if steps is None:
        steps = local_steps // cost
        if steps < 1:
            raise UnsuitedError(
                f"local_steps={local_steps} is too few: one step of this method takes {cost} mini-batch gradients"
            )
    if isinstance(steps, Tensor):
        if steps.is_floating_point():
            raise TypeError(f"steps are {steps.dtype}; they must be whole numbers, one per client")
        taken = steps.detach().cpu().numpy().astype(np.int64)
        if taken.shape != (clients,) or taken.min() < 0:
            raise ValueError(f"steps={taken.tolist()!r} must be {clients} numbers of at least 0, one per client")
        return max(1, int(taken.max())), taken
    if steps < 1:
        raise ValueError(f"steps={steps!r} must be at least 1")
    return steps, None


def steps_done(most: int, asked: np.ndarray | None, shares: np.ndarray | None) -> Steps:
    """What is done of it: each client's share ``[c]``, rounded down, at least one step where any was asked; None: all
    do all."""
    if shares is None:
        return most, asked
    each = np.full(len(shares), most) if asked is None else asked
    done = np.maximum(np.minimum(each, 1), np.floor(each * shares)).astype(np.int64)
    return max(1, int(done.max())), done
