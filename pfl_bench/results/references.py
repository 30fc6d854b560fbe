"""Published figures beside ours: what was reported, by whom, how sure that is, and how far we are from it."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, Literal

import numpy as np
import pandas as pd

from .comparable import plain

COLUMNS = ["published_mean", "published_std", "difference", "verdict", "published_source", "published_status"]


@dataclass(frozen=True)
class Reference:
    """One published figure, percent; ``std`` over seeds, where it was reported."""

    method: str
    scenario: str
    mean: float
    kind: Literal["paper", "rerun"]
    source: str
    status: Literal["verified", "secondary", "memory"]
    std: float | None = None


@cache
def references() -> tuple[Reference, ...]:
    """Every published figure in the package, in order of preference; those from memory are left out."""
    text = resources.files("pfl_bench.results").joinpath("references.toml").read_text(encoding="utf-8")
    table = tomllib.loads(text)
    found = [Reference(**{**figure, "source": table["sources"][figure["source"]]}) for figure in table["figure"]]
    return tuple(reference for reference in found if reference.status != "memory")


def find(method: str, scenario: str) -> Reference | None:
    """The reference for a method's defaults in a scenario; a scaled budget (``@0.1x``) is a scenario's own matter."""
    fitting = [r for r in references() if (r.method, r.scenario) == (method, scenario)]
    return fitting[0] if fitting else None


def verdict(mean: float, std: float | None, reference: Reference, scale: float) -> str:
    """``inside`` if the two means differ by at most the sum of the two standard deviations, else ``outside``.

    At another budget than the published one there is nothing to judge; nor without a spread of our own. A figure
    published without a spread counts as exact.
    """
    if scale != 1:
        return "other budget"
    if std is None or not np.isfinite(std):
        return "one seed, no spread"
    return "inside" if abs(mean - reference.mean) <= std + (reference.std or 0.0) else "outside"


def attach(table: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard with the columns ``COLUMNS``, empty where nothing was published."""
    found = pd.DataFrame([_row(row) for row in table.to_dict("records")], columns=COLUMNS, index=table.index)
    return pd.concat([table, found], axis=1)


def _row(row: dict[Any, Any]) -> dict[str, Any]:
    scenario = str(row["scenario"])
    published_on = scenario.split("@")[0].split("+")[0] if scenario == plain(scenario) else ""
    reference = find(row["method"], published_on)
    if reference is None or row["accuracy_mean"] is None or pd.isna(row["accuracy_mean"]):
        return {}
    std = None if pd.isna(row["accuracy_std"]) else float(row["accuracy_std"])
    same_budget = row["budget_scale"] == 1
    return {
        "published_mean": reference.mean,
        "published_std": reference.std,
        "difference": round(row["accuracy_mean"] - reference.mean, 4) if same_budget else None,
        "verdict": verdict(row["accuracy_mean"], std, reference, row["budget_scale"]),
        "published_source": f"{reference.kind}: {reference.source}",
        "published_status": reference.status,
    }
