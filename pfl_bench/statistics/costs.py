"""At what cost: what it takes to reach a target accuracy, and who is on the front of accuracy against bytes.

A *history frame* has a row per run and evaluation: ``scenario``, ``entry``, ``seed``, ``visits``, ``accuracy`` (on
validation), ``bytes_down``, ``bytes_up``, ``local_steps``.
"""

import math

import numpy as np
import pandas as pd

TARGET_SHARE = 0.9
COSTS = ("visits", "bytes", "local_steps")


def default_targets(history: pd.DataFrame) -> dict[str, float]:
    """Per scenario: 90 % of the best accuracy that any run reached, rounded down to whole points."""
    best = history.groupby("scenario", sort=True)["accuracy"].max()
    return {str(scenario): float(math.floor(TARGET_SHARE * value)) for scenario, value in best.items() if value > 0}


def cost_to_target(history: pd.DataFrame, targets: dict[str, float]) -> pd.DataFrame:
    """Per scenario and entry: how many runs reached the target on validation, and the median cost when they first did.

    Runs that never did count as infinitely costly, so a median exists only if more than half of them did (NaN else).
    """
    rows = []
    for (scenario, entry), part in history.groupby(["scenario", "entry"], sort=True):
        target = targets.get(str(scenario))
        if target is None:
            continue
        costs, reached = [], 0
        for _, run in part.groupby("seed"):
            there = run[run["accuracy"] >= target].sort_values("visits").head(1)
            reached += len(there)
            found = there.assign(bytes=there["bytes_down"] + there["bytes_up"])
            costs.append([float(found[c].iloc[0]) if len(found) else math.inf for c in COSTS])
        medians = [float(value) if np.isfinite(value) else math.nan for value in np.median(costs, axis=0)]
        rows.append(
            {"scenario": scenario, "entry": entry, "target": target, "reached": reached, "runs": len(costs)}
            | {f"{name}_to_target": value for name, value in zip(COSTS, medians, strict=True)}
        )
    columns = ["scenario", "entry", "target", "reached", "runs", *(f"{name}_to_target" for name in COSTS)]
    return pd.DataFrame(rows, columns=columns)


def pareto_front(cost: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Which points no other point beats in cost without losing in gain, or the reverse: booleans ``[n]``."""
    no_worse = (cost[None] <= cost[:, None]) & (gain[None] >= gain[:, None])
    better = (cost[None] < cost[:, None]) | (gain[None] > gain[:, None])
    return np.logical_not((no_worse & better).any(axis=1))
