"""What a board's tables are made of: one edition per scenario, what is held out apart, and what has no result."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.asked import asked_for
from pfl_bench.results.entries import one_name_each
from pfl_bench.results.loaded import load
from pfl_bench.results.primary import by_primary
from pfl_bench.results.statistics.common import one_edition_each, split_edition
from pfl_bench.results.statistics.scenarios import SeedTables, seed_tables
from pfl_bench.spec.suite import builtin_suites

from .factors import family_of, kind_of


@dataclass(frozen=True)
class Basis:
    """``runs``, ``clients``: finished runs on the scenarios that claims rest on, and their clients; ``held_out``: runs
    on those that nobody tuned on. ``tables``: accuracy by scenario, ``[seeds, entries]``. ``kinds``: of heterogeneity,
    by scenario. ``families``: by entry. ``gaps``: a row per scenario and entry that lacks a result at any seed:
    ``status``, ``reason``, and the ``seeds`` that have one. ``left_out``: in words."""

    runs: pd.DataFrame
    clients: pd.DataFrame
    held_out: pd.DataFrame
    tables: SeedTables
    kinds: Mapping[str, str]
    families: Mapping[str, str]
    gaps: pd.DataFrame
    left_out: tuple[str, ...]


def basis_of(folder: Path) -> Basis:
    """From a suite's results folder. RequestError where it has no finished run."""
    results = load(folder)
    if not (results.runs["status"] == "finished").any():
        raise RequestError(f"there is no finished run in {folder}")
    suite = builtin_suites().get(str(results.runs["suite"].iloc[0]))
    definitions = asked_for(results.runs, results.folder)
    return make_basis(results.runs, results.clients, definitions, suite.held_out if suite else (), tuple(results.notes))


def make_basis(
    runs: pd.DataFrame,
    clients: pd.DataFrame,
    definitions: Mapping[str, Mapping[str, Any]],
    held_out: Collection[str],
    left_out: tuple[str, ...] = (),
) -> Basis:
    """From frames as ``results.loaded.Results`` has them, and scenarios as their runs recorded them."""
    runs = by_primary(runs).assign(entry=one_name_each(runs))
    done = runs[(runs["status"] == "finished") & runs["accuracy"].notna()]
    apart = done["scenario"].map(lambda name: split_edition(str(name))[0] in held_out)
    editions, others = one_edition_each(done[~apart])
    chosen = set(editions.values())
    kept = done[~apart & done["scenario"].isin(chosen)]
    names = dict(zip(runs["run_id"], runs["entry"], strict=True))
    own = clients.assign(entry=clients["run_id"].map(names))
    return Basis(
        kept.reset_index(drop=True), own[own["run_id"].isin(kept["run_id"])].reset_index(drop=True),
        done[apart].reset_index(drop=True), seed_tables(kept),
        {name: kind_of(definitions.get(name, {})) for name in kept["scenario"].drop_duplicates()},
        {str(entry): family_of(str(method)) for entry, method in zip(runs["entry"], runs["method"], strict=True)},
        _gaps(runs[runs["scenario"].isin(chosen) | runs["scenario"].isin(done.loc[apart, "scenario"])]),
        (*left_out, *others),
    )  # fmt: skip


def _gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Cells of scenarios x entries in which a seed has no result, that others of the scenario have."""
    rows = []
    for scenario, part in runs.groupby("scenario", sort=False):
        seeds = part["seed"].nunique()
        for entry in sorted(runs["entry"].unique()):
            own = part[part["entry"] == entry]
            done = own[(own["status"] == "finished") & own["accuracy"].notna()]
            if done["seed"].nunique() == seeds:
                continue
            troubled = own[~own["run_id"].isin(done["run_id"])]
            status = ", ".join(sorted(set(troubled["status"]))) or "not run"
            reason = "; ".join(sorted({str(why) for why in troubled["reason"].dropna() if str(why)}))
            rows.append((scenario, entry, status, reason, done["seed"].nunique(), seeds))
    return pd.DataFrame(rows, columns=["scenario", "entry", "status", "reason", "seeds", "seeds_of_scenario"])
