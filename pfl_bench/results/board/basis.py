"""What a board's tables are made of: one edition per scenario, what is held out apart, and what has no result."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError, shown
from pfl_bench.results.asked import asked_for
from pfl_bench.results.entries import one_name_each
from pfl_bench.results.loaded import load
from pfl_bench.results.primary import by_primary
from pfl_bench.results.statistics.common import one_edition_each, split_edition
from pfl_bench.results.statistics.scenarios import SeedTables, seed_tables
from pfl_bench.spec.suite import builtin_suites, load_suite

from .factors import family_of, kind_of

LOST = ("diverged", "failed")
"""What became of a run that counts as the last of its scenario and seed: who breaks down is not better for it."""
NO_CURVES = pd.DataFrame(columns=["run_id", "scenario", "visits", "split", "accuracy"])


@dataclass(frozen=True)
class Basis:
    """``runs``, ``clients``, ``curves``: finished runs on the scenarios that claims rest on, their clients, and their
    evaluations; ``held_out``: runs on those that nobody tuned on. ``tables``: accuracy by scenario, ``[seeds,
    entries]``, of entries that have all its seeds; what was ``LOST`` has the lowest there. ``kinds``: of heterogeneity,
    and ``sources``: of data, by scenario. ``families``: by entry. ``gaps``: a row per scenario and entry that lacks a
    result at any seed: ``status``, ``reason``, and the ``seeds`` that have one. ``left_out``: in words."""

    runs: pd.DataFrame
    clients: pd.DataFrame
    held_out: pd.DataFrame
    tables: SeedTables
    kinds: Mapping[str, str]
    sources: Mapping[str, str]
    families: Mapping[str, str]
    gaps: pd.DataFrame
    left_out: tuple[str, ...]
    curves: pd.DataFrame = field(default_factory=NO_CURVES.copy)

    @property
    def means(self) -> pd.DataFrame:
        """Mean accuracy ``[scenarios, entries]`` over seeds."""
        return pd.DataFrame({name: table.mean() for name, table in self.tables.items()}).T


def basis_of(folder: Path, suite: str | None = None) -> Basis:
    """From a suite's results folder. ``suite``: its .toml, where it does not ship; it says what is held out.

    RequestError where there is no finished run, and where the suite is another one.
    """
    results = load(folder)
    if not (results.runs["status"] == "finished").any():
        raise RequestError(f"there is no finished run in {folder}")
    name = str(results.runs["suite"].iloc[0])
    own = load_suite(suite) if suite is not None else builtin_suites().get(name)
    if own is not None and own.name != name:
        raise RequestError(f"--suite: {suite} is the suite {shown(own.name)}, and the runs are of {shown(name)}")
    held_out = own.held_out if own else ()
    definitions = asked_for(results.runs, results.folder)
    return make_basis(results.runs, results.clients, definitions, held_out, tuple(results.notes), results.curves)


def make_basis(
    runs: pd.DataFrame,
    clients: pd.DataFrame,
    definitions: Mapping[str, Mapping[str, Any]],
    held_out: Collection[str],
    left_out: tuple[str, ...] = (),
    curves: pd.DataFrame = NO_CURVES,
) -> Basis:
    """From frames as ``results.loaded.Results`` has them, and scenarios as their runs recorded them."""
    runs = by_primary(runs).assign(entry=one_name_each(runs))
    finished = (runs["status"] == "finished") & runs["accuracy"].notna()
    apart = runs["scenario"].map(lambda name: split_edition(str(name))[0] in held_out)
    editions, others = one_edition_each(runs[finished & ~apart])
    chosen = set(editions.values())
    counted = _whole(_with_lost(runs[runs["scenario"].isin(chosen) & ~apart]))
    twins = _twins(seed_tables(counted))
    counted = counted[~counted["entry"].isin(list(twins))]
    kept = counted[counted["status"] == "finished"]
    names = dict(zip(runs["run_id"], runs["entry"], strict=True))
    own = clients.assign(entry=clients["run_id"].map(names))
    scenarios = list(kept["scenario"].drop_duplicates())
    told = [f"{entry} has the figures of {other} in every run and counts once" for entry, other in twins.items()]
    return Basis(
        kept.reset_index(drop=True), own[own["run_id"].isin(kept["run_id"])].reset_index(drop=True),
        runs[finished & apart].reset_index(drop=True), seed_tables(counted),
        {name: kind_of(definitions.get(name, {})) for name in scenarios},
        {name: source_of(definitions.get(name, {})) or str(name) for name in scenarios},
        {str(entry): family_of(str(method)) for entry, method in zip(runs["entry"], runs["method"], strict=True)},
        _gaps(runs[runs["scenario"].isin(chosen) | runs["scenario"].isin(runs.loc[finished & apart, "scenario"])]),
        (*left_out, *others, *told),
        curves[curves["run_id"].isin(kept["run_id"])].assign(entry=lambda rows: rows["run_id"].map(names)),
    )  # fmt: skip


def source_of(scenario: Mapping[str, Any]) -> str:
    """Where a scenario's data come from: its data set without what is taken of it; "" where it does not say."""
    return re.split(r"[?]|:(?=\w+=)", str(scenario.get("dataset") or "").removeprefix("sample:"))[0]


def _with_lost(runs: pd.DataFrame) -> pd.DataFrame:
    """Finished runs, and those that were lost with the lowest accuracy of their scenario and seed."""
    done = runs[(runs["status"] == "finished") & runs["accuracy"].notna()]
    lowest = done.groupby(["scenario", "seed"])["accuracy"].min().rename("_lowest")
    lost = runs[runs["status"].isin(LOST)].join(lowest, on=["scenario", "seed"])
    lost = lost.assign(accuracy=lost["_lowest"]).drop(columns="_lowest").dropna(subset=["accuracy"])
    return done if lost.empty else pd.concat([done, lost], ignore_index=True)


def _whole(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of cells (scenario, entry) that have every seed that the scenario has."""
    own = runs.groupby(["scenario", "entry"])["seed"].transform("nunique")
    return runs[own == runs.groupby("scenario")["seed"].transform("nunique")]


def _twins(tables: SeedTables) -> dict[str, str]:
    """Entries whose accuracies are those of an earlier one, by name, in every run: the same computation twice."""
    whole = {f"{name} {seed}": row for name, table in tables.items() for seed, row in table.iterrows()}
    columns = pd.DataFrame(whole).sort_index()
    twins: dict[str, str] = {}
    firsts: dict[tuple[float, ...], str] = {}
    for entry, values in zip(columns.index, columns.fillna(-1.0).to_numpy(float), strict=True):
        first = firsts.setdefault(tuple(values), str(entry))
        if first != entry:
            twins[str(entry)] = first
    return twins


def _gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Cells of scenarios x entries in which a seed has no result, that others of the scenario have."""
    rows, entries = [], sorted(runs["entry"].unique())
    for scenario, part in runs.groupby("scenario", sort=False):
        seeds = part["seed"].nunique()
        by_entry = dict(list(part.groupby("entry")))
        for entry in entries:
            own = by_entry.get(entry, part.iloc[:0])
            done = own[(own["status"] == "finished") & own["accuracy"].notna()]
            if done["seed"].nunique() == seeds:
                continue
            troubled = own[~own["run_id"].isin(done["run_id"])]
            status = ", ".join(sorted(set(troubled["status"]))) or "not run"
            reason = "; ".join(sorted({str(why) for why in troubled["reason"].dropna() if str(why)}))
            rows.append((scenario, entry, status, reason, done["seed"].nunique(), seeds))
    return pd.DataFrame(rows, columns=["scenario", "entry", "status", "reason", "seeds", "seeds_of_scenario"])
