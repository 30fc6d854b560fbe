"""Settings for a scenario that nobody tuned on: ``pfl-bench analyse transfer results/board-v1-tuning``.

Reads ``tuning.csv`` and writes ``transferred.csv`` and ``transferred.toml``, the latter as a suite takes it.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from pfl_bench.results.board.tables import TRIALS
from pfl_bench.results.files import write_text
from pfl_bench.results.run_tables import needed_trials
from pfl_bench.results.statistics.transfer import Transferred, transferred
from pfl_bench.spec.fields import inline_table
from pfl_bench.text import counted

COLUMNS = ["scenario", "method", "seed", "status", "validation_accuracy", "config"]


def fragment(found: Sequence[Transferred]) -> str:
    """The settings as lines of a suite's ``[hyperparameters_at."ID"]``."""
    lines = []
    for each in found:
        lines.append(
            f"{each.method} = {inline_table(each.values)}  # mean rank {each.mean_rank:.1f} of "
            f"{counted(each.points, 'point')} over {counted(each.scenarios, 'scenario')}"
        )
    return "\n".join(lines) + "\n"


def main(folder: Path) -> list[Path]:
    """Write them into the tuning's folder; where. RequestError without trials."""
    found = transferred(needed_trials(folder / TRIALS, COLUMNS))
    rows = [(t.method, json.dumps(t.values), t.mean_rank, t.points, t.scenarios) for t in found]
    table = pd.DataFrame(rows, columns=["method", "hyperparameters", "mean_rank", "points", "scenarios"])
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return [
        write_text(folder / "transferred.csv", text),
        write_text(folder / "transferred.toml", fragment(found)),
    ]
