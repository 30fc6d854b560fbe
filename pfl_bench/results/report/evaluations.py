"""Every evaluation of every run, for the page to draw and to hand out: nothing averaged, nothing thinned."""

from typing import Any

import numpy as np
import pandas as pd

from .figures import with_megabytes
from .plotting import numbers

MOST_EVALUATIONS = 60_000
"""A page with more of them would weigh megabytes more; they are in each run's ``history.csv``."""


def evaluations(history: pd.DataFrame) -> dict[str, list[dict[str, Any]]] | None:
    """By scenario, its runs: ``entry``, ``seed``, and per evaluation on test data ``visits``, ``mb`` moved so far, and
    ``accuracy``. None if there are more than ``MOST_EVALUATIONS``."""
    on_test = history["split"] == "test"
    if on_test.sum() > MOST_EVALUATIONS:
        return None
    tested = history[on_test]
    found: dict[str, list[dict[str, Any]]] = {}
    for (scenario, entry, seed, _), own in with_megabytes(tested).groupby(
        ["scenario", "entry", "seed", "run_id"], sort=True
    ):
        found.setdefault(str(scenario), []).append(
            {
                "entry": str(entry),
                "seed": int(str(seed)),
                "visits": np.asarray(own["visits"], dtype=int).tolist(),
                "mb": numbers(own["bytes"]),
                "accuracy": numbers(own["accuracy"]),
            }
        )
    return found
