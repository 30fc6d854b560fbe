"""The leaderboard: runs aggregated over seeds, one row per scenario, method and configuration."""

import json
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from .references import COLUMNS as REFERENCE_COLUMNS
from .references import attach

CONFIDENCE = 0.95
MEANS = [
    "worst_decile", "client_mean", "client_std", "client_min", "validation_accuracy", "last_accuracy",
    "global_accuracy", "received_accuracy", "adapted_accuracy",
    "bytes_down", "bytes_up", "local_steps", "samples", "adapt_steps", "seconds", "peak_memory_bytes",
]  # fmt: skip
COLUMNS = [
    "scenario", "rank", "method", "variant", "seeds", "accuracy_mean", "accuracy_std", "ci_low", "ci_high",
    *MEANS[:6], "moment", "visits", "local_steps_per_visit", "budget_scale", *MEANS[6:],
    "failed", "diverged", "skipped", "unfinished", "reason", "config_hash", "runs",
]  # fmt: skip


def confidence_interval(values: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Student's t interval of a mean percentage, cut off at 0 and 100; NaN with fewer than two values."""
    if len(values) < 2:
        return float("nan"), float("nan")
    half = stats.t.ppf(0.5 + confidence / 2, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return max(0.0, float(values.mean() - half)), min(100.0, float(values.mean() + half))


def leaderboard(runs: pd.DataFrame) -> pd.DataFrame:
    """Aggregate a results frame (``frame.read_runs``). Ranks are per scenario, on the mean accuracy to 0.01 points;
    ties share a rank. Runs that did not finish are counted beside, never averaged in."""
    if runs.empty:
        return pd.DataFrame(columns=[*COLUMNS, *REFERENCE_COLUMNS])
    keys = ["scenario", "scenario_hash", "method", "config_hash"]
    rows = [_aggregate(group) for _, group in runs.groupby(keys, sort=False)]
    table = pd.DataFrame(rows)
    table["variant"] = _variants(table)
    rounded = table["accuracy_mean"].astype(float).round(2)
    ranks = rounded.groupby([table["scenario"], table["scenario_hash"]]).rank(method="min", ascending=False)
    table["rank"] = ranks.astype("Int64")
    order = table.sort_values(["scenario", "scenario_hash", "rank", "method"], na_position="last")
    return attach(order[COLUMNS].reset_index(drop=True))


def _aggregate(group: pd.DataFrame) -> dict[str, Any]:
    done = group[group["status"] == "finished"]
    accuracy = done["accuracy"].to_numpy(dtype=float)
    low, high = confidence_interval(accuracy)
    first = (done if len(done) else group).iloc[0]
    row: dict[str, Any] = {
        name: first[name]
        for name in ("scenario", "scenario_hash", "method", "config_hash", "config", "moment", "visits",
                     "local_steps_per_visit", "budget_scale")
    }  # fmt: skip
    row |= {
        "seeds": len(done),
        "accuracy_mean": accuracy.mean() if len(done) else None,
        "accuracy_std": accuracy.std(ddof=1) if len(done) > 1 else None,
        "ci_low": low,
        "ci_high": high,
        "reason": "; ".join(dict.fromkeys(str(r) for r in group["reason"] if r)),
        "runs": " ".join(group["run_id"]),
    }
    row |= {status: int((group["status"] == status).sum()) for status in ("failed", "diverged", "skipped")}
    row["unfinished"] = int((group["status"] == "unfinished").sum())
    means = done[MEANS].apply(pd.to_numeric, errors="coerce").mean()
    return row | {name: None if pd.isna(means[name]) else float(means[name]) for name in MEANS}


def _variants(table: pd.DataFrame) -> list[str]:
    """What tells configurations of one method in one scenario apart: the fields in which they differ."""
    configs = [json.loads(text) for text in table["config"]]
    labels = []
    for position, (own, row) in enumerate(zip(configs, table.itertuples(), strict=True)):
        others = [
            other
            for k, (other, peer) in enumerate(zip(configs, table.itertuples(), strict=True))
            if k != position and (peer.scenario, peer.method) == (row.scenario, row.method)
        ]
        fields = [name for name in own if any(other.get(name) != own[name] for other in others)]
        labels.append(", ".join(f"{name}={own[name]}" for name in fields))
    return labels
