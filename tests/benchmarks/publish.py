"""Turn pytest-benchmark's JSON into ``results/benchmarks``: one CSV of figures and one page to read.

``python -m tests.benchmarks.publish results/benchmarks/raw.json``. What was not measured this time keeps the figures
of the time before; every row says at which commit it was measured, and on what.
"""

import json
import sys
from pathlib import Path

import pandas as pd
import torch

from pfl_bench.running.provenance import commit, hardware

COLUMNS = ["group", "benchmark", "figure", "value", "commit", "machine"]


def figures(record: dict) -> pd.DataFrame:
    """One row per figure; a benchmark without figures of its own gives its median."""
    rows, at = [], (commit().name[:7], machine())
    for benchmark in record["benchmarks"]:
        own = benchmark["extra_info"] or {"median s": benchmark["stats"]["median"]}
        rows += [(benchmark["group"], benchmark["name"], name, value, *at) for name, value in own.items()]
    return pd.DataFrame(rows, columns=COLUMNS)


def machine() -> str:
    """What computes here: processor, cores, the instructions that torch uses, and torch."""
    here = hardware()
    return f"{here['cpu']}, {here['cores']} cores, {here['cpu_capability']}, torch {torch.__version__}"


def merged(table: pd.DataFrame, before: Path) -> pd.DataFrame:
    """The new figures in the place of the old ones of the same benchmarks, the groups as they were."""
    if not before.exists():
        return table
    old = pd.read_csv(before)
    kept = old[~old["benchmark"].isin(table["benchmark"])]
    order = list(dict.fromkeys([*old["group"], *table["group"]]))
    both = pd.concat([kept, table], ignore_index=True)
    return both.sort_values("group", key=lambda group: group.map(order.index), kind="stable", ignore_index=True)


def page(table: pd.DataFrame, record: dict) -> str:
    """Markdown: one table per group, each with where it was measured."""
    lines = [
        "# Speed of the simulator",
        "",
        f"Written by `make bench`, last on {record['datetime'][:10]}.",
        "Sides of a comparison take turns in one process; a figure is the median of at least five rounds.",
    ]
    for group, rows in table.groupby("group", sort=False):
        lines += ["", f"## {group}", "", f"On {'; '.join(dict.fromkeys(rows['machine']))}.", ""]
        lines += ["| benchmark | figure | value | commit |", "|---|---|---:|---|"]
        lines += [f"| {row.benchmark} | {row.figure} | {row.value:.4g} | {row.commit} |" for row in rows.itertuples()]
    return "\n".join(lines) + "\n"


def main(source: Path) -> None:
    """Write ``figures.csv`` and ``README.md`` beside the JSON."""
    record = json.loads(source.read_text(encoding="utf-8"))
    kept = source.parent / "figures.csv"
    table = merged(figures(record), kept)
    table.to_csv(kept, index=False)
    (source.parent / "README.md").write_text(page(table, record), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
