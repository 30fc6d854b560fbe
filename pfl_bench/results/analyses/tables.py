"""Tables of finished runs, joined; shared by the analyses. Imports neither torch nor ray."""

from pathlib import Path

import pandas as pd

from pfl_bench.results.frame import read_runs

LABELS = ["run_id", "scenario", "method", "config_hash", "seed", "partition_sha256", "budget_scale", "visits"]


def finished(folder: Path) -> pd.DataFrame:
    """The finished runs of a suite's folder. ValueError if there is none."""
    runs = read_runs(folder)
    runs = runs[runs["status"] == "finished"]
    if runs.empty:
        raise ValueError(f"there is no finished run in {folder}")
    return runs


def joined(folder: Path, runs: pd.DataFrame, table: str) -> pd.DataFrame:
    """``<table>.csv`` of every run that has one, with the run's labels in front (its visits as ``budget_visits``)."""
    parts = []
    for run in runs.to_dict("records"):
        path = folder / "runs" / run["run_id"] / f"{table}.csv"
        if path.exists():
            labels = {("budget_visits" if name == "visits" else name): run[name] for name in LABELS}
            parts.append(pd.read_csv(path).assign(**labels))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def budget_title(runs: pd.DataFrame) -> str:
    """What every picture says about the budget and the seeds."""
    first = runs.iloc[0]
    seeds = runs["seed"].nunique()
    scale = "" if first["budget_scale"] == 1 else f", {first['budget_scale']:g} x the full budget"
    return f"{first['scenario']}: {first['visits']} visits{scale}, {seeds} seed{'s' if seeds > 1 else ''}"
