"""When does an idea pay, for whom, and at what cost: families x kinds of heterogeneity, clients hurt, and expenses."""

import math

import numpy as np
import pandas as pd
import scipy

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.clients import BASELINES, for_whom
from pfl_bench.results.statistics.costs import pareto_front
from pfl_bench.results.statistics.paired import holm
from pfl_bench.results.statistics.scenarios import CONTROLS, MARGIN, TINY, SeedTables, differences, interval_of
from pfl_bench.results.statistics.signed_rank import direction, seeds_needed, shift, signed_rank_p

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

DEARER = 1.05
"""Multiple of the control's expense from which an entry is dearer."""


def factors_table(basis: Basis, controls: tuple[str, ...] = CONTROLS) -> pd.DataFrame:
    """A row per control, family and kind of heterogeneity, and for all kinds: the median difference to the control of
    the family's entries (those with a result in every scenario, so that it has the same members everywhere), its mean
    over scenarios with Student's interval, and the entry with the highest mean there.

    For all kinds together the medians are tested by signed ranks over scenarios: ``difference`` and its interval are
    the shift that this test is about, and ``adjusted`` its p-value, Holm-corrected over families, NaN where there are
    too few scenarios that differ. Within a kind nothing is tested: there are a few scenarios of each. ``direction``:
    the side that the ranks are on.
    """
    rows: list[dict[str, object]] = []
    for control in controls:
        gains = differences(basis.tables, control)
        families: dict[str, list[str]] = {}
        for entry in gains.columns[gains.notna().all()]:
            if entry != control:
                families.setdefault(basis.families[str(entry)], []).append(str(entry))
        middle = {family: gains[entries].median(axis=1) for family, entries in families.items()}
        tests = _tests(middle)
        for family, entries in families.items():
            for kind in (ALL, *KINDS):
                there = [kind in (ALL, basis.kinds[str(s)]) for s in gains.index]
                own = middle[family][there]
                if own.empty:
                    continue
                values = own.to_numpy(float)
                difference, (low, high) = shift(values) if kind == ALL else (own.mean(), interval_of(own.tolist()))
                best = gains.loc[there, entries].mean().sort_index()
                rows.append(
                    {"control": control, "family": family, "kind": kind, "entries": len(entries),
                     "scenarios": len(own), "difference": float(difference), "low": low, "high": high,
                     "best_entry": str(best.idxmax()), "best_difference": float(best.max()),
                     "adjusted": tests.get(family, math.nan) if kind == ALL else math.nan,
                     "direction": direction(values)}
                )  # fmt: skip
    columns = ["control", "family", "kind", "entries", "scenarios", "difference", "low", "high", "best_entry",
               "best_difference", "adjusted", "direction"]  # fmt: skip
    return pd.DataFrame(rows, columns=columns)


def _tests(means: dict[str, pd.Series]) -> dict[str, float]:
    """Holm-corrected p-values of families that differ in scenarios enough for the test to reject."""
    fewest = seeds_needed(max(1, len(means)))
    raw = {
        family: signed_rank_p(own.to_numpy())
        for family, own in means.items()
        if int((own.abs() > TINY).sum()) >= fewest
    }
    return dict(zip(raw, holm(list(raw.values())), strict=True))


def hurt_table(basis: Basis) -> pd.DataFrame:
    """A row per entry: the shares of clients, in percent, mean over scenarios, that are less and that are more accurate
    on their test samples than under Local and under FedAvg at the same seed; and the mean worst decile of clients.

    A client has few test samples: of two equally good models each is the less accurate on a third or so of the clients,
    so that one share is read beside the other.
    """
    figures = [f"{how}_than_{baseline}" for baseline in BASELINES for how in ("worse", "better")]
    whom = for_whom(basis.clients)
    table = whom.groupby("entry", sort=True)[[*figures, "worst_decile"]].mean()
    table.insert(0, "scenarios", whom.groupby("entry")["scenario"].nunique())
    table.insert(0, "family", [basis.families[str(entry)] for entry in table.index])
    return table.sort_values("worse_than_local", kind="stable", na_position="last").reset_index()


def costs_table(
    basis: Basis, standing: pd.DataFrame, controls: pd.DataFrame, control: str = "fedavg_ft"
) -> pd.DataFrame:  # fmt: skip
    """A row per entry: its expenses as a multiple of the control's, the median over scenarios (inf where only the
    entry has any, NaN where neither has); what it spends ``DEARER`` times the control's and more on, numbers kept on
    clients apart; in how many scenarios it is above the control, Holm-corrected over its scenarios; its mean rank, and
    whether nobody ranks better and moves no more bytes, over the scenarios in which all that are ranked have finished.

    ``verdict``: ``pays`` if it is better than the control over scenarios, or above it in one of them; ``never pays``
    if it is dearer in something, cheaper in nothing, and the interval over scenarios ends below ``MARGIN`` points;
    ``cannot tell`` of other dearer ones; "" of those that are not. None is said of Local, which trains alone.
    """
    ratios = _ratios(basis.runs, control)
    above = _above(basis.tables, control)
    ranks = standing.set_index("entry")["mean_rank"]
    ranked = [entry for entry in ratios.index if np.isfinite(ranks.get(entry, math.nan))]
    moved = basis.runs[list(COSTS["bytes"])].sum(axis=1).groupby([basis.runs["scenario"], basis.runs["entry"]]).mean()
    total = moved.unstack()[ranked].dropna().mean()
    front = pareto_front(total.to_numpy(float), -ranks[ranked].to_numpy(float)) & total.notna().to_numpy()
    against = controls[controls["control"] == control].set_index("entry")
    table = ratios.assign(
        family=[basis.families[str(entry)] for entry in ratios.index],
        above=[above.get(str(entry), 0) for entry in ratios.index],
        mean_rank=[ranks.get(entry, math.nan) for entry in ratios.index],
        on_front=[entry in {e for e, there in zip(ranked, front, strict=True) if there} for entry in ratios.index],
    )
    spent = [name for name in COSTS if name != "state"]
    dearer = {entry: [name for name in spent if row[name] >= DEARER] for entry, row in ratios.iterrows()}
    cheaper = {entry: any(row[name] <= 1 / DEARER for name in spent) for entry, row in ratios.iterrows()}
    table["dearer_in"] = [", ".join(dearer[entry]) for entry in table.index]

    def verdict(entry: str) -> str:
        if entry not in against.index or entry == "local":
            return ""
        own = against.loc[entry]
        if own["verdict"] == "better" or above.get(entry, 0):
            return "pays"
        if not dearer[entry]:
            return ""
        return "never pays" if not cheaper[entry] and own["high"] < MARGIN else "cannot tell"

    table["verdict"] = [verdict(str(entry)) for entry in table.index]
    order = ["family", *COSTS, "dearer_in", "above", "mean_rank", "on_front", "verdict"]
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


def _above(tables: SeedTables, control: str) -> dict[str, int]:
    """In how many scenarios each entry is above the control: Student's test over seeds, Holm over its scenarios."""
    raw: dict[str, list[tuple[float, float]]] = {}
    for table in tables.values():
        for entry in table.columns if control in table else ():
            gains = (table[entry] - table[control]).dropna().to_numpy(float)
            if len(gains) > 1 and gains.std(ddof=1) > TINY:
                found = (float(scipy.stats.ttest_1samp(gains, 0).pvalue), float(gains.mean()))
            else:
                found = (1.0, 0.0)
            raw.setdefault(str(entry), []).append(found)
    return {
        entry: sum(p <= 1 - LEVEL and mean > 0 for p, (_, mean) in zip(holm([p for p, _ in own]), own, strict=True))
        for entry, own in raw.items()
    }
