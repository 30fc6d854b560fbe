"""For whom: how accuracy is distributed over clients, and who would be better off without the method.

A *clients frame* has a row per run and client: ``scenario``, ``entry``, ``seed``, ``client``, ``test_correct``,
``test_samples``.
"""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from pfl_bench.metrics import worst_decile

BASELINES = ("local", "fedavg")
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)
KEYS = ["scenario", "seed", "client"]


def jain_index(values: np.ndarray) -> float:
    """(sum x)^2 / (n sum x^2): 1 if all are equal, 1/n if one has everything. 1 if all are zero."""
    squares = float((values**2).sum())
    return float(values.sum() ** 2 / (len(values) * squares)) if squares else 1.0


def with_accuracy(clients: pd.DataFrame) -> pd.DataFrame:
    """The frame with ``accuracy`` per client in percent; rows without samples or with impossible counts are dropped."""
    counts = clients.assign(
        test_correct=pd.to_numeric(clients["test_correct"], errors="coerce"),
        test_samples=pd.to_numeric(clients["test_samples"], errors="coerce"),
    )
    possible = (counts["test_samples"] > 0) & counts["test_correct"].between(0, counts["test_samples"])
    kept = counts[possible]
    return kept.assign(accuracy=100.0 * kept["test_correct"] / kept["test_samples"])


def for_whom(clients: pd.DataFrame, baselines: Sequence[str] = BASELINES) -> pd.DataFrame:
    """Per scenario and entry: quantiles over clients and seeds, ``worst_decile`` (within seeds, then the mean),
    ``jain_index`` (likewise), and ``worse_than_<baseline>``: the share of clients, in percent, that are less accurate
    than the same clients at the same seed under the baseline, and ``better_than_<baseline>`` that of the more accurate.
    NaN where the baseline has no such runs.

    This is the share of clients *hurt*: by personalisation where the baseline is one global model (FedAvg; Wang et al.
    2019, "Federated evaluation of on-device personalization", count who gains and who loses against it), by taking part
    at all where it is Local (Yu et al. 2020, "Salvaging federated learning by local adaptation"). What one run knows of
    it alone, against its own global model, is its figure ``hurt`` (``engine.selection``).
    """
    rows, clients = [], with_accuracy(clients)
    for scenario, part in clients.groupby("scenario", sort=False):
        cells = part.groupby(["entry", "seed", "client"])["accuracy"].mean()
        tables = {str(entry): own.droplevel("entry") for entry, own in cells.groupby(level="entry", sort=True)}
        for entry, accuracy in tables.items():
            within = [each.to_numpy() for _, each in accuracy.groupby("seed")]
            row = {
                "scenario": scenario,
                "entry": entry,
                "seeds": len(within),
                "clients": len(accuracy) / len(within),
                "worst_decile": float(np.mean([worst_decile(each) for each in within])),
                "jain_index": float(np.mean([jain_index(each) for each in within])),
            }
            quantiles = accuracy.quantile(list(QUANTILES)).tolist()
            row |= {f"q{round(100 * q)}": value for q, value in zip(QUANTILES, quantiles, strict=True)}
            for b in baselines:
                if b != entry:
                    shares = _shares(accuracy, tables.get(b))
                    row |= {f"worse_than_{b}": shares[0], f"better_than_{b}": shares[1]}
            rows.append(row)
    columns = ["scenario", "entry", "seeds", "clients", "worst_decile", "jain_index"]
    columns += [f"q{round(100 * q)}" for q in QUANTILES]
    columns += [f"{how}_than_{b}" for b in baselines for how in ("worse", "better")]
    return pd.DataFrame(rows, columns=columns)


def paired_gains(clients: pd.DataFrame, scenario: str, reference: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per entry of a scenario: correct predictions minus the reference's, and test samples, ``[seeds, clients]`` each.

    Only seeds at which both have every client, with equal test sets.
    """
    own = clients[clients["scenario"] == scenario]
    wide = own.pivot_table(index=["entry", "seed"], columns="client", values=["test_correct", "test_samples"])
    found: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    if wide.empty or reference not in wide.index.get_level_values("entry"):
        return found
    theirs = wide.loc[reference].dropna()
    for entry in wide.index.get_level_values("entry").unique():
        mine, base = wide.loc[entry].dropna().align(theirs, join="inner", axis=0)
        equal = (mine["test_samples"] == base["test_samples"]).all(axis=1)
        gains = mine["test_correct"][equal] - base["test_correct"][equal]
        if entry != reference:
            found[str(entry)] = gains.to_numpy(float), mine["test_samples"][equal].to_numpy(float)
    return found


def client_error(gains: np.ndarray, samples: np.ndarray) -> float:
    """Standard error, in points, that a difference has from the clients and test samples at hand; seeds are fixed.

    ``gains``, ``samples`` ``[seeds, clients]`` as from ``paired_gains``; the difference of a seed is the pooled one,
    100 sum(gains) / sum(samples), a ratio with clients as units (Cochran 1977, "Sampling Techniques", 6.4). The mean
    over seeds of one run's error: seeds draw on the same data set, so more of them make it no smaller. The differences
    between seeds contain it already in so far as their samples differ, so it must not be added to an interval over
    seeds: resampling clients within resampled seeds would count it twice (Davison and Hinkley 1997, "Bootstrap Methods
    and their Application", 3.8). NaN with fewer than two clients.
    """
    seeds, clients = gains.shape
    if not seeds or clients < 2:
        return math.nan
    total = samples.sum(axis=1)
    rest = gains - samples * (gains.sum(axis=1) / total)[:, None]
    errors = 100 * np.sqrt(clients / (clients - 1) * (rest**2).sum(axis=1)) / total
    return float(errors.mean())


def sampling_errors(clients: pd.DataFrame) -> pd.Series:
    """By ``run_id``: the standard error, in points, of a run's pooled accuracy on its clients' test samples, were these
    drawn anew for the same clients: 100 sqrt(sum n p (1 - p)) / sum n, as a stratified sample has it."""
    rows = with_accuracy(clients)
    share = rows["accuracy"].astype(float) / 100
    rows = rows.assign(_variance=rows["test_samples"] * share * (1 - share))
    sums = rows.groupby("run_id", sort=False)[["_variance", "test_samples"]].sum().astype(float)
    return 100 * np.sqrt(sums["_variance"]) / sums["test_samples"]


def _shares(accuracy: pd.Series, baseline: pd.Series | None) -> tuple[float, float]:
    """Of clients less and more accurate than under the baseline, in percent."""
    mine, theirs = accuracy.align(accuracy.iloc[:0] if baseline is None else baseline, join="inner")
    if not len(mine):
        return math.nan, math.nan
    return float(100.0 * (mine < theirs - 1e-9).mean()), float(100.0 * (mine > theirs + 1e-9).mean())
