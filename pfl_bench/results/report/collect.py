"""What a report is made from: frames, whoever made the runs; and what of a folder had to be left out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.results.asked import asked_for
from pfl_bench.results.entries import one_name_each
from pfl_bench.results.frame import scan_runs
from pfl_bench.results.imports import Figure, read_imported
from pfl_bench.results.notes import Problem
from pfl_bench.results.primary import by_primary
from pfl_bench.results.run_tables import read_clients, read_history, read_partition, read_table
from pfl_bench.spec.identity import digest
from pfl_bench.spec.suite import shipped_scenarios

NOVEL = ("client", "test_correct", "test_samples", "test_accuracy", "tv_distance")


@dataclass(frozen=True)
class Results:
    """Frames with the columns that ``pfl_bench.results.statistics`` names, and ``entry`` in each.

    ``runs``: as ``results.frame.read_runs``, what ranks as ``accuracy`` (``results.primary``). ``history``: evaluations
    at the official moment, ``split`` is ``validation`` or ``test``. ``clients``: test results at the official moment
    and the selected evaluation. ``novel``: enrolled clients. ``partitions``: by scenario, who holds what at its lowest
    seed. ``scenarios``: what each asks for, as its runs recorded it.
    """

    title: str
    runs: pd.DataFrame
    history: pd.DataFrame
    clients: pd.DataFrame
    novel: pd.DataFrame
    partitions: dict[str, pd.DataFrame] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    imported: tuple[Figure, ...] = ()
    scenarios: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def collect(folder: Path, scanned: tuple[pd.DataFrame, Sequence[Problem]] | None = None) -> Results:
    """Read a suite's folder. Nothing is written; what is broken is in ``problems``.

    ``scanned``: what ``frame.scan_runs`` found there, where that is known already.
    """
    runs, found = scan_runs(folder) if scanned is None else scanned
    problems = [*found]
    runs = by_primary(runs)
    runs["entry"] = one_name_each(runs)
    history, more = read_history(folder, runs)
    problems += more
    clients, more = read_clients(folder, runs)
    problems += more
    novel, more = read_table(folder, runs, "novel", NOVEL, ("samples",))
    problems += more
    imported, more = read_imported(folder)
    problems += [problem for problem in more if problem not in problems]
    firsts = runs[runs["partition_sha256"].notna()].sort_values("seed").groupby("scenario").first()
    holdings = {str(scenario): read_partition(folder, sha) for scenario, sha in firsts["partition_sha256"].items()}
    return Results(
        folder.resolve().name,
        runs,
        history,
        clients,
        novel,
        {scenario: rows for scenario, rows in holdings.items() if rows is not None and len(rows)},
        tuple(problems),
        imported=tuple(imported),
        scenarios={scenario: _in_words(own) for scenario, own in asked_for(runs, folder).items()},
    )


def _in_words(asked: Mapping[str, Any]) -> Mapping[str, Any]:
    """With the words of a scenario that ships with them."""
    own = digest(asked)
    words = next((s.asks for s in shipped_scenarios() if s.asks and digest(s.identity()) == own), "")
    return {**asked, **({"asks": words} if words else {})}


def finished(results: Results) -> Results:
    """The same results without runs that have not finished."""
    runs = results.runs[results.runs["status"] == "finished"]
    kept = set(runs["run_id"])
    parts = {name: getattr(results, name) for name in ("history", "clients", "novel")}
    return replace(results, runs=runs, **{n: part[part["run_id"].isin(kept)] for n, part in parts.items()})
