"""At what cost: what it takes to reach a target accuracy, and who is on the front of accuracy against bytes.

A *history frame* has a row per run and evaluation: ``scenario``, ``entry``, ``seed``, ``visits``, ``accuracy`` (on
validation), ``bytes_down``, ``bytes_up``, ``local_steps``; and where models adapt before they are evaluated ``moment``
and ``adapt_steps``, the gradients that were spent on that so far.
"""

import math

import numpy as np
import pandas as pd

TARGET_SHARE = 0.9
COSTS = ("visits", "bytes", "local_steps")


def default_targets(history: pd.DataFrame) -> dict[str, float]:
    """Per scenario: 90 % of the best accuracy that any run reached, rounded down to whole points."""
    best = history.groupby("scenario", sort=False)["accuracy"].max()
    return {str(scenario): float(math.floor(TARGET_SHARE * value)) for scenario, value in best.items() if value > 0}


def cost_to_target(history: pd.DataFrame, targets: dict[str, float]) -> pd.DataFrame:
    """Per scenario and entry: how many runs reached the target on validation, and the median cost when they first did.

    A model that adapts before it is used costs that too: ``local_steps`` has the gradients of its last adaptation on
    every client (those of earlier evaluations only measured). Scenarios stand in the order of ``targets``.
    Runs that never did count as infinitely costly, so a median exists only if more than half of them did (NaN else).
    """
    keys, runs = ["scenario", "entry"], ["scenario", "entry", "seed"]
    frame = history.sort_values("visits", kind="stable")
    frame = frame.assign(
        bytes=frame["bytes_down"] + frame["bytes_up"],
        local_steps=frame["local_steps"] + adaptation(frame),
        target=frame["scenario"].map(targets),
    ).dropna(subset=["target"])
    columns = [*keys, "target", "reached", "runs", *(f"{name}_to_target" for name in COSTS)]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    first = frame[frame["accuracy"] >= frame["target"]].groupby(runs)[list(COSTS)].first()
    every = frame.groupby(runs)[["target"]].first().join(first)
    found = every["visits"].notna().groupby(keys).agg(reached="sum", runs="size")
    medians = every[list(COSTS)].fillna(np.inf).groupby(keys).median()
    medians = medians.where(np.isfinite(medians)).add_suffix("_to_target")
    table = found.join(medians).join(every.groupby(keys)["target"].first()).reset_index()
    order = {scenario: place for place, scenario in enumerate(targets)}
    return table.sort_values("scenario", key=lambda names: names.map(order), kind="stable", ignore_index=True)[columns]


def adaptation(history: pd.DataFrame) -> pd.Series:
    """Gradients that all clients together took to adapt before each evaluation of a history in the order of visits."""
    if "adapt_steps" not in history or "moment" not in history:
        return pd.Series(0.0, index=history.index)
    so_far = history["adapt_steps"].fillna(0.0)
    before = so_far.groupby([history[key] for key in ("scenario", "entry", "seed")]).shift(fill_value=0.0)
    return (so_far - before).where(history["moment"] == "adapted", 0.0)


def pareto_front(cost: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Which points no other point beats in cost without losing in gain, or the reverse: booleans ``[n]``."""
    no_worse = (cost[None] <= cost[:, None]) & (gain[None] >= gain[:, None])
    better = (cost[None] < cost[:, None]) | (gain[None] > gain[:, None])
    return np.logical_not((no_worse & better).any(axis=1))
