"""Do methods that sort clients find those that are alike?

``pfl-bench analyse clusters results/shifts``

The share of clients in the right cluster: clusters are matched with groups (those that see the same by the scenario's
shifts, else natural ones), each with one at most, so that as many clients as possible are where their group is. Beside
it the same share under shuffled groups: with few clients it is far above one over the number of groups.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from scipy.optimize import linear_sum_assignment
from scipy.stats.contingency import crosstab

from pfl_bench.errors import RequestError
from pfl_bench.results.entries import entries
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.run_tables import complete, read_table

from .pictures import write_frame

SHUFFLES = 1000
FIGURES = ("client", "cluster", "group")


def share_in_right_cluster(clusters: np.ndarray, groups: np.ndarray) -> float:
    """Of clients with these clusters and groups, ``[n]`` each, under the best matching; 1 where they agree.

    >>> share_in_right_cluster(np.asarray([7, 7, 3, 3]), np.asarray([0, 0, 1, 1]))
    1.0
    """
    counts = crosstab(clusters, groups).count
    rows, columns = linear_sum_assignment(counts, maximize=True)
    return float(counts[rows, columns].sum() / len(groups))


def by_chance(clusters: np.ndarray, groups: np.ndarray, seed: int = 0) -> float:
    """The mean of that share under shuffled groups."""
    rng = np.random.default_rng(seed)
    groups = np.unique(groups, return_inverse=True)[1]  # numbers are compared faster than names
    return float(np.mean([share_in_right_cluster(clusters, rng.permutation(groups)) for _ in range(SHUFFLES)]))


def clustered(folder: Path) -> pd.DataFrame:
    """A row per run that has recorded its clusters; RequestError where none has, or where no groups are known."""
    runs = finished_runs(folder)
    runs = runs.assign(method=entries(runs))
    rows = complete(read_table(folder, runs, "clusters", FIGURES))
    if rows.empty:
        raise RequestError(f"no run in {folder} has recorded the clusters of its clients")
    known = rows.dropna(subset=["group", "cluster"])
    if known.empty:
        raise RequestError(f"the clients in {folder} are in no groups: no scenario has shifts or natural groups")
    found = []
    for (scenario, method, seed, run_id), own in known.groupby(["scenario", "method", "seed", "run_id"], sort=False):
        clusters, groups = own["cluster"].to_numpy(), own["group"].to_numpy()
        found.append(
            {
                "scenario": scenario, "method": method, "seed": seed, "run_id": run_id, "clients": len(own),
                "groups": len(np.unique(groups)), "clusters": len(np.unique(clusters)),
                "right": share_in_right_cluster(clusters, groups), "right_by_chance": by_chance(clusters, groups),
            }
        )  # fmt: skip
    return pd.DataFrame(found)


def main(folder: Path) -> list[Path]:
    """Write ``clusters.csv``, a row per run, and ``clusters-summary.csv``, a row per method and scenario; where."""
    table = clustered(folder)
    means = table.groupby(["scenario", "method"], sort=False)[["groups", "clusters", "right", "right_by_chance"]].mean()
    return [
        write_frame(folder / "clusters.csv", table),
        write_frame(folder / "clusters-summary.csv", means.reset_index()),
    ]
