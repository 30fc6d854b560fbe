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
from pfl_bench.results.statistics.best import DIGITS
from pfl_bench.results.statistics.clients import BASELINES
from pfl_bench.results.statistics.common import one_edition_each, split_edition
from pfl_bench.results.statistics.scenarios import CONTROLS, SeedTables, seed_tables
from pfl_bench.spec.suite import builtin_suites, load_suite

from .factors import family_of, kind_of

LOST = ("diverged", "failed")
"""What became of a run that counts as the last of its scenario and seed: who breaks down is not better for it."""
NO_CURVES = pd.DataFrame(columns=["run_id", "scenario", "visits", "split", "accuracy"])


@dataclass(frozen=True)
class Basis:
    """``runs``, ``clients``, ``curves``: finished runs on the scenarios that claims rest on, their clients, and their
    evaluations. ``tables``: accuracy by scenario, ``[seeds, entries]``, of entries that have all its seeds; what was
    ``LOST`` has the lowest there; ``held_out``: likewise, on scenarios that nobody tuned on. ``kinds``: of
    heterogeneity, and ``sources``: of data, by scenario. ``families``: by entry. ``gaps``: a row per scenario and entry
    that lacks a result at any of its seeds: ``status``, ``reason``, and the ``seeds`` that have one. ``left_out``: in
    words."""

    runs: pd.DataFrame
    clients: pd.DataFrame
    tables: SeedTables
    held_out: SeedTables
    kinds: Mapping[str, str]
    sources: Mapping[str, str]
    families: Mapping[str, str]
    gaps: pd.DataFrame
    left_out: tuple[str, ...]
    curves: pd.DataFrame = field(default_factory=NO_CURVES.copy)

    @property
    def means(self) -> pd.DataFrame:
        """Mean accuracy ``[scenarios, entries]`` over seeds, without the rounding that would part equal ones."""
        return pd.DataFrame({name: table.mean() for name, table in self.tables.items()}).T.round(DIGITS)


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
    editions, others = one_edition_each(runs[finished])
    empty = [str(name) for name in runs["scenario"].unique() if split_edition(str(name))[0] not in editions]
    runs = runs[runs["scenario"].isin([*editions.values(), *empty])]
    shared, rare = _shared_seeds(runs)
    counted = _whole(_with_lost(shared))
    names = dict(zip(runs["run_id"], runs["entry"], strict=True))
    own = clients.assign(entry=clients["run_id"].map(names))
    twins = _twins(counted[counted["status"] == "finished"], own)
    counted = counted[~counted["entry"].isin(list(twins))]
    apart = counted["scenario"].map(lambda name: split_edition(str(name))[0] in held_out).astype(bool)
    kept = counted[(counted["status"] == "finished") & ~apart]
    scenarios = list(kept["scenario"].drop_duplicates())
    told = [f"{entry} has the figures of {other} in every run and counts once" for entry, other in twins.items()]
    told += [f"{name}: no run has a result there" for name in empty]
    return Basis(
        kept.reset_index(drop=True), own[own["run_id"].isin(kept["run_id"])].reset_index(drop=True),
        seed_tables(counted[~apart]), seed_tables(counted[apart]),
        {name: kind_of(definitions.get(name, {})) for name in scenarios},
        {name: source_of(definitions.get(name, {})) or str(name) for name in scenarios},
        {str(entry): family_of(str(method)) for entry, method in zip(runs["entry"], runs["method"], strict=True)},
        _gaps(shared),
        (*left_out, *others, *rare, *told),
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


def _shared_seeds(runs: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """The runs at seeds that more than half of a scenario's entries have, and the other seeds in words: who has more
    seeds than the others must not stand alone for it."""
    having = runs.groupby(["scenario", "seed"])["entry"].transform("nunique")
    rare = 2 * having <= runs.groupby("scenario")["entry"].transform("nunique")
    told = []
    for scenario, own in runs[rare].groupby("scenario", sort=False):
        seeds = ", ".join(map(str, sorted(own["seed"].unique())))
        told.append(f"{scenario}: seeds {seeds}, which no more than half of its entries have")
    return runs[~rare], told


def _whole(runs: pd.DataFrame) -> pd.DataFrame:
    """The runs of cells (scenario, entry) that have every seed that the scenario has."""
    own = runs.groupby(["scenario", "entry"])["seed"].transform("nunique")
    return runs[own == runs.groupby("scenario")["seed"].transform("nunique")]


def _twins(runs: pd.DataFrame, clients: pd.DataFrame) -> dict[str, str]:
    """Entries that have finished the runs of another one, with as many correct test samples of every client in each:
    the same computation twice. The other one is a control if there is one, else the first by name."""
    own = clients[clients["run_id"].isin(runs["run_id"])]
    table = own.pivot_table(index="entry", columns=["scenario", "seed", "client"], values="test_correct", sort=False)
    named = [name for name in dict.fromkeys((*CONTROLS, *BASELINES)) if name in table.index]
    table = table.loc[[*named, *sorted(set(table.index) - set(named))]].fillna(-1.0)
    twins: dict[str, str] = {}
    firsts: dict[bytes, str] = {}
    for entry, values in zip(table.index, table.to_numpy(float), strict=True):
        first = firsts.setdefault(values.tobytes(), str(entry))
        if first != entry:
            twins[str(entry)] = first
    return twins


def _gaps(runs: pd.DataFrame) -> pd.DataFrame:
    """Cells of scenarios x entries in which a seed that most entries of the scenario have has no result."""
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
            unknown = troubled["status"] == "finished"
            troubled = troubled.assign(
                status=troubled["status"].mask(unknown, "without a figure"),
                reason=troubled["reason"].mask(unknown, "what ranks is undefined"),
            )
            status = ", ".join(sorted(set(troubled["status"]))) or ("not run at every seed" if len(own) else "not run")
            reason = "; ".join(sorted({str(why) for why in troubled["reason"].dropna() if str(why)}))
            rows.append((scenario, entry, status, reason, done["seed"].nunique(), seeds))
    return pd.DataFrame(rows, columns=["scenario", "entry", "status", "reason", "seeds", "seeds_of_scenario"])
