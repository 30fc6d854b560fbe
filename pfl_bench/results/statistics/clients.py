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
    than the same clients at the same seed under the baseline. NaN where the baseline has no such runs.
    """
    rows, clients = [], with_accuracy(clients)
    for scenario, part in clients.groupby("scenario", sort=False):
        tables = {
            str(entry): own.pivot_table(index=["seed", "client"], values="accuracy", aggfunc="mean")["accuracy"]
            for entry, own in part.groupby("entry", sort=True)
        }
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
            row |= {f"q{round(100 * q)}": float(accuracy.quantile(q)) for q in QUANTILES}
            row |= {f"worse_than_{b}": _share_worse(accuracy, tables.get(b)) for b in baselines if b != entry}
            rows.append(row)
    columns = ["scenario", "entry", "seeds", "clients", "worst_decile", "jain_index"]
    columns += [f"q{round(100 * q)}" for q in QUANTILES] + [f"worse_than_{b}" for b in baselines]
    return pd.DataFrame(rows, columns=columns)


def paired_gains(clients: pd.DataFrame, scenario: str, reference: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Per entry of a scenario: correct predictions minus the reference's, and test samples, ``[seeds, clients]`` each.

    For ``paired.bootstrap_over_clients``. Only seeds at which both have every client, with equal test sets.
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


def _share_worse(accuracy: pd.Series, baseline: pd.Series | None) -> float:
    if baseline is None:
        return math.nan
    mine, theirs = accuracy.align(baseline, join="inner")
    return float(100.0 * (mine < theirs - 1e-9).mean()) if len(mine) else math.nan
