"""When does an idea pay, for whom, and at what cost: families x kinds of heterogeneity, clients hurt, and expenses."""

import math

import numpy as np
import pandas as pd

from pfl_bench.results.statistics.clients import for_whom
from pfl_bench.results.statistics.costs import pareto_front
from pfl_bench.results.statistics.paired import holm, seeds_needed, signed_rank_p
from pfl_bench.results.statistics.scenarios import CONTROLS, SeedTables, differences, interval_of

from .basis import Basis
from .factors import ALL, KINDS

COSTS = {
    "bytes": ("bytes_down", "bytes_up"),
    "gradients": ("local_steps", "adapt_steps"),
    "forward_samples": ("forward_samples", "adapt_forward_samples"),
    "state": ("state_floats",),
}
"""A run's expenses: bytes moved; mini-batch gradients, with those of one adaptation of every client where the method
adapts; samples that only passed forwards, likewise; numbers kept per client. The columns of a results frame that make
each; ``adapt_...`` count all evaluations of a run, most of which only measured."""


def factors_table(basis: Basis, controls: tuple[str, ...] = CONTROLS) -> pd.DataFrame:
    """A row per control, family and kind of heterogeneity, and for all kinds: mean difference to the control over the
    family's entries, then over scenarios, with Student's interval over scenarios; the family's best entry there.

    ``adjusted``: for all kinds together, the signed-rank test of the family's means over scenarios, Holm-corrected over
    families, NaN where there are too few scenarios. Within a kind nothing is tested: there are a few scenarios of each.
    """
    rows: list[dict[str, object]] = []
    for control in controls:
        gains = differences(basis.tables, control)
        families: dict[str, list[str]] = {}
        for entry in gains.columns:
            if entry != control:
                families.setdefault(basis.families[str(entry)], []).append(str(entry))
        tests = _tests({family: gains[entries].mean(axis=1).dropna() for family, entries in families.items()})
        for family, entries in families.items():
            for kind in (ALL, *KINDS):
                own = gains.loc[[kind in (ALL, basis.kinds[str(s)]) for s in gains.index], entries]
                own = own.dropna(how="all")
                if own.empty:
                    continue
                means = own.mean(axis=1)
                low, high = interval_of(means.tolist())
                best = own.mean().sort_index()
                rows.append(
                    {"control": control, "family": family, "kind": kind, "entries": len(entries),
                     "scenarios": len(own), "difference": float(means.mean()), "low": low, "high": high,
                     "best_entry": str(best.idxmax()), "best_difference": float(best.max()),
                     "adjusted": tests.get(family, math.nan) if kind == ALL else math.nan}
                )  # fmt: skip
    columns = ["control", "family", "kind", "entries", "scenarios", "difference", "low", "high", "best_entry",
               "best_difference", "adjusted"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _tests(means: dict[str, pd.Series]) -> dict[str, float]:
    """Holm-corrected p-values of families that have scenarios enough for the test to reject."""
    fewest = seeds_needed(max(1, len(means)))
    raw = {family: signed_rank_p(own.to_numpy()) for family, own in means.items() if len(own) >= fewest}
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def hurt_table(basis: Basis) -> pd.DataFrame:
    """A row per entry: the share of clients, in percent, mean over scenarios, that are less accurate than under Local
    and under FedAvg at the same seed; and the mean worst decile of clients."""
    figures = ["worse_than_local", "worse_than_fedavg", "worst_decile"]
    whom = for_whom(basis.clients)
    table = whom.groupby("entry", sort=True)[figures].mean()
    table.insert(0, "scenarios", whom.groupby("entry")["scenario"].nunique())
    table.insert(0, "family", [basis.families[str(entry)] for entry in table.index])
    return table.sort_values("worse_than_local", kind="stable", na_position="last").reset_index()


def costs_table(basis: Basis, standing: pd.DataFrame, control: str = "fedavg_ft") -> pd.DataFrame:
    """A row per entry: its expenses as a multiple of the control's, the median over scenarios (inf where only the
    entry has any, NaN where neither has), and in which it is dearer; in how many scenarios it is above and below the
    control by more than the noise of seeds (Student's 95 % interval of the paired difference, uncorrected); whether no
    entry that moves no more bytes ranks better (``on_front``); and whether it ``never_pays``: it is dearer in
    something, and above nowhere.
    """
    ratios = _ratios(basis.runs, control)
    above, below = _above_and_below(basis.tables, control)
    ranks = standing.set_index("entry")["mean_rank"]
    total = basis.runs.assign(bytes=basis.runs[list(COSTS["bytes"])].sum(axis=1)).groupby("entry")["bytes"].mean()
    ranked = [entry for entry in ratios.index if np.isfinite(ranks.get(entry, math.nan))]
    front = pareto_front(total[ranked].to_numpy(float), -ranks[ranked].to_numpy(float))
    table = ratios.assign(
        family=[basis.families[str(entry)] for entry in ratios.index],
        above=[above.get(str(entry), 0) for entry in ratios.index],
        below=[below.get(str(entry), 0) for entry in ratios.index],
        mean_rank=[ranks.get(entry, math.nan) for entry in ratios.index],
        on_front=[entry in {e for e, there in zip(ranked, front, strict=True) if there} for entry in ratios.index],
    )
    dearer = [[name for name in COSTS if row[name] > 1 + 1e-9] for row in table.to_dict("records")]
    table["dearer_in"] = [", ".join(names) for names in dearer]
    table["never_pays"] = (table["dearer_in"] != "") & (table["above"] == 0) & (table.index != control)
    order = ["family", *COSTS, "dearer_in", "above", "below", "mean_rank", "on_front", "never_pays"]
    return table[order].sort_values("mean_rank", kind="stable", na_position="last").reset_index()


def _ratios(runs: pd.DataFrame, control: str) -> pd.DataFrame:
    once = 1 / runs["candidates"].astype(float)
    spent = runs.reindex(columns=[part for parts in COSTS.values() for part in parts]).astype(float)
    adapting = [part for part in spent.columns if part.startswith("adapt_")]
    spent[adapting] = spent[adapting].mul(once.where(runs["moment"] == "adapted", 0.0), axis=0)
    sums = {name: spent[list(parts)].sum(axis=1) for name, parts in COSTS.items()}
    cells = pd.DataFrame(sums).groupby([runs["scenario"], runs["entry"]]).mean()
    entries = cells.index.get_level_values("entry").unique()
    if control not in entries:
        return pd.DataFrame(math.nan, index=entries.sort_values(), columns=list(COSTS))
    base = cells.xs(control, level="entry").reindex(cells.index.get_level_values("scenario")).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        quotients = pd.DataFrame(cells.to_numpy() / base, index=cells.index, columns=cells.columns)
    return quotients.groupby("entry").median()


def _above_and_below(tables: SeedTables, control: str) -> tuple[dict[str, int], dict[str, int]]:
    above: dict[str, int] = {}
    below: dict[str, int] = {}
    for table in tables.values():
        for entry in table.columns if control in table else ():
            low, high = interval_of((table[entry] - table[control]).dropna().tolist())
            above[str(entry)] = above.get(str(entry), 0) + int(low > 0)
            below[str(entry)] = below.get(str(entry), 0) + int(high < 0)
    return above, below
