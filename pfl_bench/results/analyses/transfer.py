"""Settings for a scenario that nobody tuned on: ``pfl-bench analyse transfer results/board-v1-tuning``.

Reads ``tuning.csv`` and writes ``transferred.csv`` and ``transferred.toml``, the latter as a suite takes it.
"""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from pfl_bench.errors import RequestError, unknown
from pfl_bench.results.board.tables import TRIALS
from pfl_bench.results.files import write_text
from pfl_bench.results.run_tables import needed_trials
from pfl_bench.results.statistics.transfer import Transferred, transferred
from pfl_bench.spec.fields import inline_table
from pfl_bench.spec.scenario import without_edition
from pfl_bench.spec.suite import builtin_suites, load_suite
from pfl_bench.text import counted

COLUMNS = ["scenario", "method", "seed", "status", "validation_accuracy", "config"]


def fragment(found: Sequence[Transferred], held_out: Sequence[str]) -> str:
    """The settings as a suite and ``run --tuned`` take them: a ``[hyperparameters_at."ID"]`` for each scenario that is
    held out, ``[hyperparameters]`` where none is."""
    lines = [
        f"{each.method} = {inline_table(each.values)}  # mean rank {each.mean_rank:.1f} of "
        f"{counted(each.points, 'point')} over {counted(each.scenarios, 'scenario')}"
        for each in found
    ]
    heads = [f'[hyperparameters_at."{scenario}"]' for scenario in held_out] or ["[hyperparameters]"]
    return "\n".join("\n".join([head, *lines, ""]) for head in heads)


def held_out_by(folder: Path, scenarios: Iterable[str], suite: str | None) -> tuple[str, ...]:
    """What a tuning's suite holds out: of the one that ships and that the folder is named after, or of ``suite``, the
    .toml of another; nothing of one that is unknown.

    RequestError if ``suite`` lacks one of the ``scenarios``, given with ids as their runs have them, or holds none out.
    """
    if suite is None:
        shipped = builtin_suites().get(folder.resolve().name.removesuffix("-tuning"))
        return shipped.held_out if shipped else ()
    own = load_suite(suite)
    if not own.held_out:
        raise RequestError(f"--suite: {suite} has no held_out scenario; without --suite the choices are for any")
    ids = [scenario.id for scenario in own.scenarios]
    for scenario in map(without_edition, scenarios):
        if scenario not in ids:
            raise unknown(f"scenario of {folder / TRIALS} in --suite {suite}", scenario, ids)
    return own.held_out


def main(folder: Path, suite: str | None = None) -> list[Path]:
    """Write them into the tuning's folder; where. ``suite``: as in ``held_out_by``. RequestError without trials."""
    trials = needed_trials(folder / TRIALS, COLUMNS)
    if trials.empty:
        raise RequestError(f"{folder / TRIALS} has no trials")
    held_out, found = held_out_by(folder, trials["scenario"].map(str), suite), transferred(trials)
    rows = [(t.method, json.dumps(t.values), t.mean_rank, t.points, t.scenarios) for t in found]
    table = pd.DataFrame(rows, columns=["method", "hyperparameters", "mean_rank", "points", "scenarios"])
    text = table.to_csv(index=False, float_format="%.6g", lineterminator="\n")
    return [
        write_text(folder / "transferred.csv", text),
        write_text(folder / "transferred.toml", fragment(found, held_out)),
    ]
