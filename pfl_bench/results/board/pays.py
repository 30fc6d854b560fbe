"""When does an idea pay, for whom, and at what cost: families x kinds of heterogeneity, clients hurt, and expenses."""

import math

import numpy as np
import pandas as pd
import scipy

from pfl_bench.results.statistics.best import LEVEL
from pfl_bench.results.statistics.clients import BASELINES, for_whom
from pfl_bench.results.statistics.costs import pareto_front
from pfl_bench.results.statistics.paired import holm
from pfl_bench.results.statistics.scenarios import CONTROLS, MARGIN, TINY, differences, interval_of
from pfl_bench.results.statistics.signed_rank import direction, seeds_needed, shift, signed_rank_p

from .basis import Basis
from .factors import ALIKE, ALL, KINDS

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
    so that one share is read beside the other. A scenario in which the entry lacks a result at some seed (broke down,
    for instance) does not count for it.
    """
    figures = [f"{how}_than_{baseline}" for baseline in BASELINES for how in ("worse", "better")]
    whom = for_whom(basis.clients)
    lacking = pd.MultiIndex.from_frame(basis.gaps[["scenario", "entry"]])
    whom = whom[~pd.MultiIndex.from_frame(whom[["scenario", "entry"]]).isin(lacking)]
    table = whom.groupby("entry", sort=True)[[*figures, "worst_decile"]].mean()
    table.insert(0, "scenarios", whom.groupby("entry")["scenario"].nunique())
    table.insert(0, "family", [basis.families[str(entry)] for entry in table.index])
    return table.sort_values("worse_than_local", kind="stable", na_position="last").reset_index()


def costs_table(
    basis: Basis, standing: pd.DataFrame, controls: pd.DataFrame, control: str = "fedavg_ft"
) -> pd.DataFrame:  # fmt: skip
    """A row per entry: its expenses as a multiple of the control's, the median over scenarios (inf where only the
    entry has any, NaN where neither has); what it spends ``DEARER`` times the control's and more on, numbers kept on
    clients apart; in how many scenarios it is above the control (``_above``); its mean rank and the megabytes that a
    run of it moves, the mean over scenarios in which all that are ranked have finished; and whether nobody ranks better
    and moves no more.

    ``verdict``: ``pays`` if it is better than the control over scenarios; ``pays in places`` if it is ``above`` it in
    one where clients differ; ``never pays`` if it is dearer in something, cheaper by as much in nothing, in no such
    scenario even ``perhaps_above``, and the interval over scenarios ends below ``MARGIN`` points; ``worse`` of other
    dearer ones that are worse than the control over scenarios; ``cannot tell`` of those that are left of the dearer;
    "" of those that are not dearer. All of finished runs only.
    """
    ratios = _ratios(basis.runs, control)
    above = _above(basis, control).reindex(ratios.index, fill_value=0)
    ranks = standing.set_index("entry")["mean_rank"].reindex(ratios.index)
    ranked = ranks.index[np.isfinite(ranks.astype(float))]
    moved = basis.runs[list(COSTS["bytes"])].sum(axis=1).groupby([basis.runs["scenario"], basis.runs["entry"]]).mean()
    megabytes = moved.unstack()[ranked].dropna().mean() / 1e6
    front = pareto_front(megabytes.to_numpy(float), -ranks[ranked].to_numpy(float)) & megabytes.notna().to_numpy()
    against = controls[controls["control"] == control].set_index("entry")
    spent = [name for name in COSTS if name != "state"]
    dearer = {entry: [name for name in spent if row[name] >= DEARER] for entry, row in ratios.iterrows()}
    cheaper = {entry: any(row[name] <= 1 / DEARER for name in spent) for entry, row in ratios.iterrows()}

    def verdict(entry: str) -> str:
        if entry not in against.index:
            return ""
        own = against.loc[entry]
        if own["verdict"] == "better":
            return "pays"
        if above.loc[entry, "above"]:
            return "pays in places"
        if not dearer[entry]:
            return ""
        never = not cheaper[entry] and not above.loc[entry, "perhaps_above"] and own["high"] < MARGIN
        if never:
            return "never pays"
        return "worse" if own["verdict"] == "worse" else "cannot tell"

    table = ratios.assign(
        family=[basis.families[str(entry)] for entry in ratios.index],
        megabytes=megabytes,
        dearer_in=[", ".join(dearer[entry]) for entry in ratios.index],
        above=above["above"],
        perhaps_above=above["perhaps_above"],
        mean_rank=ranks,
        on_front=ratios.index.isin(ranked[front]),
        verdict=[verdict(str(entry)) for entry in ratios.index],
    )
    order = ["family", *COSTS, "megabytes", "dearer_in", "above", "perhaps_above", "mean_rank", "on_front", "verdict"]
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


def _student_p(gains: np.ndarray) -> float:
    """Two-sided, over seeds: 1 with fewer than two, and where nothing differs; 0 of one gain at all seeds."""
    if len(gains) < 2 or not (np.abs(gains) > TINY).any():
        return 1.0
    return float(scipy.stats.ttest_1samp(gains, 0).pvalue) if gains.std(ddof=1) > TINY else 0.0


def _above(basis: Basis, control: str) -> pd.DataFrame:
    """Per entry, in how many of the scenarios where clients differ it is above the control by Student's test over
    seeds: ``above`` with Holm's correction over all entries and scenarios, because those of whom this is said are found
    among all; ``perhaps_above`` with the correction over its own scenarios, for those of whom nothing is found."""
    rows = []
    for scenario, table in basis.tables.items():
        if control not in table or basis.kinds[scenario] == ALIKE:
            continue
        for entry in table.columns.drop(control):
            gains = (table[entry] - table[control]).dropna().to_numpy(float)
            rows.append((str(entry), _student_p(gains), gains.size > 1 and gains.mean() > TINY))
    found = pd.DataFrame(rows, columns=["entry", "p", "ahead"])
    for name, adjusted in (
        ("above", holm(found["p"].tolist())),
        ("perhaps_above", found.groupby("entry")["p"].transform(lambda own: holm(own.tolist()))),
    ):
        found[name] = (np.asarray(adjusted, dtype=float) <= 1 - LEVEL) & found["ahead"].astype(bool)
    return found.groupby("entry")[["above", "perhaps_above"]].sum().astype(int)
