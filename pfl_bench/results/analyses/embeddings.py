"""Do embeddings know which clients are alike?

``python -m pfl_bench.results.analyses.embeddings results/paper-embeddings``


The figure that can fail: the share of clients whose nearest neighbour in embedding space belongs to the same natural
group (super-class), against the same share under shuffled groups.
"""

import sys
from pathlib import Path

import numpy as np
import pandas as pd

from .tables import budget_title, finished, joined

SHUFFLES = 2000


def purity(vectors: np.ndarray, groups: np.ndarray) -> float:
    """Share of rows whose nearest other row (Euclidean) is of the same group."""
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    return float((groups[distances.argmin(axis=1)] == groups).mean())


def purity_test(vectors: np.ndarray, groups: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Purity, its mean under shuffled groups, and the one-sided permutation p-value."""
    rng, found = np.random.default_rng(seed), purity(vectors, groups)
    distances = ((vectors[:, None] - vectors[None]) ** 2).sum(axis=2)
    np.fill_diagonal(distances, np.inf)
    neighbour = distances.argmin(axis=1)
    shuffled = np.empty(SHUFFLES)
    for position in range(SHUFFLES):
        other = rng.permutation(groups)
        shuffled[position] = (other[neighbour] == other).mean()
    p = (1 + (shuffled >= found).sum()) / (1 + SHUFFLES)
    return {"purity": found, "purity_shuffled": float(shuffled.mean()), "p_value": float(p)}


def embeddings(folder: Path) -> pd.DataFrame:
    """Vectors of all finished runs with each client's natural group from the recorded partition."""
    rows = joined(folder, finished(folder), "vectors")
    if rows.empty:
        raise ValueError(f"no run in {folder} has recorded vectors of its clients")
    parts = []
    for sha256, part in rows.groupby("partition_sha256"):
        holdings = pd.read_csv(folder / "partitions" / f"{str(sha256)[:12]}.csv")
        groups = holdings.groupby("client")["group"].first()
        parts.append(part.assign(group=part["client"].map(groups)))
    return pd.concat(parts, ignore_index=True)


def _vectors(part: pd.DataFrame) -> np.ndarray:
    columns = [name for name in part.columns if name[0] == "v" and name[1:].isdigit()]
    return part[columns].dropna(axis=1).to_numpy()


def draw(part: pd.DataFrame, title: str, target: Path) -> None:
    """The vectors of one run in two dimensions (t-SNE), one marker per client, coloured by group."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt
    from sklearn.manifold import TSNE

    vectors = _vectors(part)
    points = TSNE(perplexity=min(15, len(vectors) - 1), random_state=0, init="pca").fit_transform(vectors)
    figure, axes = plt.subplots(figsize=(8, 7), layout="constrained")
    colours = plt.get_cmap("tab20")
    for position, group in enumerate(sorted(part["group"].unique())):
        own = points[(part["group"] == group).to_numpy()]
        axes.scatter(own[:, 0], own[:, 1], color=colours(position % 20), s=60)
        for x, y in own:
            axes.annotate(str(group), (x, y), ha="center", va="center", fontsize=6)
    axes.set(title=title, xticks=[], yticks=[])
    figure.savefig(target, dpi=120)
    plt.close(figure)


def main(folder: Path) -> None:
    """Write ``embeddings-<scenario>.csv`` (one row per run) and a picture of each scenario's first run."""
    rows, runs = embeddings(folder), finished(folder)
    for scenario, part in rows.groupby("scenario"):
        tests = [
            {"run_id": run_id, "method": own["method"].iloc[0], "seed": own["seed"].iloc[0],
             **purity_test(_vectors(own), own["group"].to_numpy())}
            for run_id, own in part.groupby("run_id")
        ]  # fmt: skip
        pd.DataFrame(tests).to_csv(folder / f"embeddings-{scenario}.csv", index=False, float_format="%.6g")
        first = part[part["run_id"] == part["run_id"].iloc[0]]
        title = budget_title(runs[runs["run_id"] == first["run_id"].iloc[0]])
        draw(first, f"{title}\nembeddings by natural group (t-SNE)", folder / f"embeddings-{scenario}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
