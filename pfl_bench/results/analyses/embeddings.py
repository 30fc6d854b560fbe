"""Do embeddings know which clients are alike?

``pfl-bench analyse embeddings results/paper-embeddings``

The figure that can fail: the share of clients whose nearest neighbour in embedding space belongs to the same natural
group (super-class), against the same share under shuffled groups.
"""

from pathlib import Path

import numpy as np
import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.results.frame import finished_runs
from pfl_bench.results.run_tables import complete, read_partition, read_table

from .pictures import budget_title, picture, write_frame

SHUFFLES = 2000


def nearest(vectors: np.ndarray) -> np.ndarray:
    """For each row of ``[n, d]``, which other row is nearest to it (Euclidean). ``[n]``."""
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return distances.argmin(axis=1)


def purity_test(vectors: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Share of rows whose nearest row is of the same group, its mean under shuffled groups, and the one-sided
    permutation p-value."""
    rng, neighbour = np.random.default_rng(seed), nearest(vectors)
    found = float((groups[neighbour] == groups).mean())
    shuffled = np.empty(SHUFFLES)
    for position in range(SHUFFLES):
        other = rng.permutation(groups)
        shuffled[position] = (other[neighbour] == other).mean()
    p = (1 + (shuffled >= found).sum()) / (1 + SHUFFLES)
    return {"purity": found, "purity_shuffled": float(shuffled.mean()), "p_value": float(p)}


def embeddings(folder: Path) -> pd.DataFrame:
    """Vectors of all finished runs with each client's natural group from the recorded partition.

    RequestError where no run has recorded vectors, or the groups of its clients are not known.
    """
    rows = complete(read_table(folder, finished_runs(folder), "vectors", ("client",), every=True))
    if rows.empty:
        raise RequestError(f"no run in {folder} has recorded vectors of its clients")
    parts = []
    for sha256, part in rows.groupby("partition_sha256"):
        holdings = read_partition(folder, sha256)
        groups = pd.Series() if holdings is None else holdings.groupby("client")["group"].first()
        known = part["client"].map(groups)
        if known.isna().any():
            raise RequestError(
                f"partitions/{str(sha256)[:12]}.csv in {folder} does not say the clients' natural groups"
            )
        parts.append(part.assign(group=known))
    return pd.concat(parts, ignore_index=True)


def _vectors(part: pd.DataFrame) -> np.ndarray:
    columns = [name for name in part.columns if name[0] == "v" and name[1:].isdigit()]
    return part[columns].dropna(axis=1).to_numpy()


def draw(part: pd.DataFrame, title: str, target: Path) -> None:
    """The vectors of one run in two dimensions (t-SNE), one marker per client, coloured by group."""
    from sklearn.manifold import TSNE

    vectors = _vectors(part)
    points = TSNE(perplexity=min(15, len(vectors) - 1), random_state=0, init="pca").fit_transform(vectors)
    with picture(target, 8, 7) as (_, axes):
        from matplotlib import colormaps

        colours = colormaps["tab20"]
        for position, group in enumerate(sorted(part["group"].unique())):
            own = points[(part["group"] == group).to_numpy()]
            axes.scatter(own[:, 0], own[:, 1], color=colours(position % 20), s=60)
            for x, y in own:
                axes.annotate(str(group), (x, y), ha="center", va="center", fontsize=6)
        axes.set(title=title, xticks=[], yticks=[])


def main(folder: Path) -> list[Path]:
    """Write ``embeddings-<scenario>.csv`` (one row per run) and a picture of each scenario's first run; where."""
    rows, runs = embeddings(folder), finished_runs(folder)
    written = []
    for scenario, part in rows.groupby("scenario"):
        tests = [
            {"run_id": run_id, "method": own["method"].iloc[0], "seed": own["seed"].iloc[0],
             **purity_test(_vectors(own), own["group"].to_numpy())}
            for run_id, own in part.groupby("run_id")
        ]  # fmt: skip
        written.append(write_frame(folder / f"embeddings-{scenario}.csv", pd.DataFrame(tests)))
        first = part[part["run_id"] == part["run_id"].iloc[0]]
        title = budget_title(runs[runs["run_id"] == first["run_id"].iloc[0]])
        drawn = folder / f"embeddings-{scenario}.png"
        draw(first, f"{title}\nembeddings by natural group (t-SNE)", drawn)
        written.append(drawn)
    return written
