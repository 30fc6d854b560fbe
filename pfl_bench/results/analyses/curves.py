"""A picture of a suite's learning curves: ``python -m pfl_bench.results.analyses.curves results/quick``."""

import sys
from pathlib import Path

import pandas as pd

from pfl_bench.results.frame import read_runs

# Okabe and Ito's colours, which colour-blind readers can tell apart; line styles repeat the distinction.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000")
STYLES = ("-", "--", ":")


def read_curves(folder: Path, runs: pd.DataFrame) -> pd.DataFrame:
    """Test accuracy at the official moment of finished runs: columns scenario, method, seed, visits, accuracy."""
    parts = []
    for run in runs[runs["status"] == "finished"].to_dict("records"):
        history = pd.read_csv(folder / "runs" / run["run_id"] / "history.csv")
        chosen = history[(history["split"] == "test") & (history["moment"] == run["moment"])]
        labels = {name: run[name] for name in ("scenario", "method", "seed")}
        parts.append(chosen[["visits", "accuracy"]].assign(**labels))
    columns = ["scenario", "method", "seed", "visits", "accuracy"]
    return pd.concat(parts)[columns] if parts else pd.DataFrame(columns=columns)


def draw_curves(folder: Path, scenario: str, target: Path) -> None:
    """Draw mean test accuracy over client visits per method, with a band from the lowest to the highest seed."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    runs = read_runs(folder)
    curves = read_curves(folder, runs)
    curves = curves[curves["scenario"] == scenario]
    figure, axes = plt.subplots(figsize=(9.5, 5), layout="constrained")
    final = curves.groupby("method")["accuracy"].last().sort_values(ascending=False)
    for position, method in enumerate(final.index):
        by_visits = curves[curves["method"] == method].groupby("visits")["accuracy"]
        mean, low, high = by_visits.mean(), by_visits.min(), by_visits.max()
        colour, style = COLOURS[position % len(COLOURS)], STYLES[position // len(COLOURS) % len(STYLES)]
        axes.plot(mean.index, mean, style, color=colour, label=method)
        axes.fill_between(mean.index, low, high, color=colour, alpha=0.12, linewidth=0)
    row = runs[runs["scenario"] == scenario].iloc[0]
    seeds = curves["seed"].nunique()
    budget = f"{row.visits} client visits x {row.local_steps_per_visit} local steps"
    axes.set_title(f"{scenario}: {budget}, {seeds} seed{'s' if seeds > 1 else ''}", fontsize="medium")
    axes.set_xlabel("client visits")
    axes.set_ylabel("pooled test accuracy (%)")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(target, dpi=120)
    plt.close(figure)


def main() -> None:
    """Draw one picture per scenario into the suite's folder."""
    folder = Path(sys.argv[1])
    for scenario in dict.fromkeys(read_runs(folder)["scenario"]):
        target = folder / f"curves-{scenario}.png"
        draw_curves(folder, scenario, target)
        print(target)


if __name__ == "__main__":
    main()
