"""Published figures beside ours: what was reported, by whom, how sure that is, and how far we are from it."""

import tomllib
from collections.abc import Iterator
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
    """One published figure, percent; ``std`` over seeds, where it was reported.

    ``protocol``: how the source's protocol differs from the scenario's; "" where it is the scenario's own.
    """

    method: str
    scenario: str
    mean: float
    kind: Literal["paper", "rerun", "benchmark"]
    source: str
    status: Literal["verified", "secondary", "memory"]
    std: float | None = None
    protocol: str = ""


@cache
def references() -> tuple[Reference, ...]:
    """Every published figure in the package, in order of preference; those from memory are left out."""
    data = _data("references.toml")
    sources, protocols = data["sources"], data["protocols"]
    found = [
        Reference(**{**figure, "source": sources[figure["source"]]}, protocol=protocols.get(figure["source"], ""))
        for figure in (*data["figure"], *_columns(data["table"]))
    ]
    return tuple(reference for reference in found if reference.status != "memory")


@cache
def needed() -> dict[str, str]:
    """For methods without a published figure that a scenario can meet: what their own paper's figures would need."""
    return dict(_data("references_needed.toml")["needed"])


def _data(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files("pfl_bench.results").joinpath(name).read_text(encoding="utf-8"))


def _columns(tables: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The figures of whole columns, where a method has its mean and perhaps its standard deviation."""
    for table in tables:
        common = {key: value for key, value in table.items() if key != "figures"}
        for method, values in table["figures"].items():
            yield {**common, "method": method, **dict(zip(("mean", "std"), values, strict=False))}


def find(method: str, scenario: str) -> Reference | None:
    """The reference for a method's defaults in a scenario; a scaled budget (``@0.1x``) is a scenario's own matter."""
    fitting = [r for r in references() if (r.method, r.scenario) == (method, scenario)]
    return fitting[0] if fitting else None


def verdict(mean: float, std: float | None, reference: Reference, scale: float) -> str:
    """``inside`` if the two means differ by at most the sum of the two standard deviations, else ``outside``.

    Under another protocol or at another budget than the published one there is nothing to judge; nor without a spread
    of our own. A figure published without a spread counts as exact.
    """
    if reference.protocol:
        return "other protocol"
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
    comparable = row["budget_scale"] == 1 and not reference.protocol
    return {
        "published_mean": reference.mean,
        "published_std": reference.std,
        "difference": round(row["accuracy_mean"] - reference.mean, 4) if comparable else None,
        "verdict": verdict(row["accuracy_mean"], std, reference, row["budget_scale"]),
        "published_source": f"{reference.kind}: {reference.source}",
        "published_status": reference.status,
    }
