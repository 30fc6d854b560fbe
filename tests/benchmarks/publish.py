"""Turn pytest-benchmark's JSON into ``results/benchmarks``: one CSV of figures and one page to read.

``python -m tests.benchmarks.publish results/benchmarks/raw.json``
"""

import json
import sys
from pathlib import Path

import pandas as pd
import torch

from pfl_bench.provenance import git_commit, hardware


def figures(record: dict) -> pd.DataFrame:
    """One row per figure: group, benchmark, figure, value; a benchmark without figures of its own gives its median."""
    rows = []
    for benchmark in record["benchmarks"]:
        own = benchmark["extra_info"] or {"median s": benchmark["stats"]["median"]}
        rows += [(benchmark["group"], benchmark["name"], name, value) for name, value in own.items()]
    return pd.DataFrame(rows, columns=["group", "benchmark", "figure", "value"])


def page(table: pd.DataFrame, record: dict) -> str:
    """Markdown: the machine, then one table per group."""
    machine = hardware()
    lines = [
        "# Speed of the simulator",
        "",
        f"Written by `make bench` on {record['datetime'][:10]}, commit {git_commit()}, torch {torch.__version__}.",
        f"Machine: {machine}.",
        "Sides of a comparison take turns in one process; a figure is the median of at least five rounds.",
    ]
    for group, rows in table.groupby("group", sort=False):
        lines += ["", f"## {group}", "", "| benchmark | figure | value |", "|---|---|---:|"]
        lines += [f"| {row.benchmark} | {row.figure} | {row.value:.4g} |" for row in rows.itertuples()]
    return "\n".join(lines) + "\n"


def main(source: Path) -> None:
    """Write ``figures.csv`` and ``README.md`` beside the JSON."""
    record = json.loads(source.read_text(encoding="utf-8"))
    table = figures(record)
    table.to_csv(source.parent / "figures.csv", index=False)
    (source.parent / "README.md").write_text(page(table, record), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
