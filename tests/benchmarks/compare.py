"""Sides of a comparison, timed in turns in one process, so that a noisy machine is noisy to all of them.

Times are CPU time: other work on the machine lengthens it, by what it takes of the caches, but less than it lengthens
waiting.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np

ROUNDS = 7


def medians(sides: Mapping[str, Callable[[], object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Seconds of CPU time per call of each side: the median over rounds in which every side has its turn."""
    for side in sides.values():
        side()
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            started = time.process_time()
            side()
            seconds[name].append(time.process_time() - started)
    return {name: float(np.median(kept)) for name, kept in seconds.items()}


def report(benchmark, capsys, title: str, figures: Mapping[str, float]) -> None:
    """Print figures and keep them in the benchmark's record, from which ``results/benchmarks`` is made."""
    benchmark.extra_info.update({name: round(float(value), 6) for name, value in figures.items()})
    with capsys.disabled():
        print(f"\n{title}: " + ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
