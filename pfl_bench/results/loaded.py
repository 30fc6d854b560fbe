"""Results as frames, wherever they come from: the runs of a folder, or what is published in the package."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError, unknown
from pfl_bench.text import counted

from . import shipped
from .entries import entries
from .frame import scan_runs
from .leaderboard import leaderboard
from .ledger import Ledger
from .notes import left_out, of_rows, of_scenarios
from .places import suite_folders
from .primary import by_primary, ylabel
from .run_tables import read_clients, read_history

BRIEF = ["scenario", "rank", "method", "variant", "accuracy_mean", "accuracy_std", "seeds", "versus_best"]
"""What a notebook shows of a leaderboard."""


@dataclass(frozen=True)
class Results:
    """What runs gave. Accuracies are in percent.

    ``runs``: a row per run, with its status, scores on test data, costs (bytes, seconds, mini-batch gradients),
    configuration and hashes; ``entry`` names the method, and its variant where there are several.
    ``clients``: a row per run and client at the evaluation that was chosen on validation: ``test_correct``,
    ``test_samples``, ``accuracy``.
    ``curves``: a row per run, evaluation and split (``validation`` or ``test``) at the method's own moment: ``visits``,
    ``accuracy`` (or what ranks in its place) and costs so far.

    ``folder``: where the runs are, None for published ones. ``failed``: why, and in which file the traceback is, by
    run id. ``notes``: what must be told beside the figures, a line each.
    """

    title: str
    runs: pd.DataFrame
    clients: pd.DataFrame
    curves: pd.DataFrame
    folder: Path | None = None
    failed: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def leaderboard(self, scenario: str | None = None) -> pd.DataFrame:
        """A row per scenario and entry, ranked, with means over seeds and a comparison with the best, as in
        ``leaderboard.csv``; of one scenario, or of all. RequestError for a scenario that has no runs."""
        return leaderboard(self._of(scenario).runs.drop(columns="entry"))

    def plot(self, scenario: str | None = None) -> Any:
        """Draw the learning curves, a panel per scenario, with Matplotlib; returns the axes, ``[scenarios]``.

        RequestError where Matplotlib is missing, or there are no runs.
        """
        from .analyses.curves import panels  # loads Matplotlib

        own = self._of(scenario)
        finished = own.runs[own.runs["status"] == "finished"]
        if finished.empty:
            raise RequestError(f"{self.title} has no finished run to plot")
        test = own.curves[(own.curves["split"] == "test") & own.curves["run_id"].isin(finished["run_id"])]
        return panels(
            test.assign(method=test["entry"]), {str(s): ylabel(part) for s, part in finished.groupby("scenario")}
        )

    def only(self, run_ids: Sequence[str]) -> "Results":
        """The same of some runs."""
        kept = set(run_ids)
        parts = {name: getattr(self, name) for name in ("runs", "clients", "curves")}
        own = {name: part[part["run_id"].isin(kept)].reset_index(drop=True) for name, part in parts.items()}
        return replace(self, failed={i: why for i, why in self.failed.items() if i in kept}, **own)

    def _of(self, scenario: str | None) -> "Results":
        if scenario is None:
            return self
        known = list(dict.fromkeys(self.runs["scenario"]))
        if scenario not in known:
            raise unknown("scenario", scenario, known)
        return self.only(list(self.runs.loc[self.runs["scenario"] == scenario, "run_id"]))

    def __repr__(self) -> str:
        scenarios, methods = (self.runs[name].nunique() for name in ("scenario", "entry"))
        counts = (len(self.runs), "run"), (methods, "method"), (scenarios, "scenario")
        run, method, scenario = (counted(number, what) for number, what in counts)
        said = f"{run} of {method} on {scenario}"
        return f"Results({self.title!r}: {said})"

    def _repr_html_(self) -> str:
        """In a notebook: the leaderboard, in short, and what must be told beside it."""
        table = self.leaderboard()
        shown = table[BRIEF].to_html(index=False, na_rep="", float_format=lambda value: f"{value:.2f}")
        said = pd.DataFrame({"notes": [*self.notes, *of_scenarios(table), *of_rows(table)]})
        return shown + (said.to_html(index=False, header=False, border=0) if len(said) else "")


def load(folder: Path) -> Results:
    """The runs of a suite's results folder, or of one with a single suite in it.

    What could not be read is in ``notes``. RequestError where the folder holds no results, or those of several suites.
    """
    found = suite_folders(folder)
    if len(found) > 1:
        raise RequestError(f"{str(folder)!r} holds the results of several suites: {', '.join(found)}; load one of them")
    ((name, place),) = found.items()
    runs, problems = scan_runs(place)
    tables, more = frames_of(place, runs)
    troubled = runs[runs["status"].isin(["failed", "diverged"])]
    reasons = dict(zip(troubled["run_id"], troubled["reason"], strict=True))
    return Results(
        name, tables["runs"], tables["clients"], tables["curves"], place, with_tracebacks(reasons, Ledger(place)),
        [*left_out(problems), *more],
    )  # fmt: skip


def with_tracebacks(failed: Mapping[str, str], ledger: Ledger) -> dict[str, str]:
    """Why runs failed, by run id, each with the file of its traceback where there is one."""
    files = {run_id: ledger.error_file(run_id) for run_id in failed}
    return {
        run_id: f"{why}; its traceback: {files[run_id]}" if files[run_id] else why for run_id, why in failed.items()
    }


def frames_of(folder: Path, runs: pd.DataFrame) -> tuple[dict[str, pd.DataFrame], list[str]]:
    """``runs``, ``clients`` and ``curves`` of a folder whose runs were read; and what was left out, a line each."""
    runs = runs.assign(entry=entries(runs))
    curves, problems = read_history(folder, by_primary(runs))
    clients, more = read_clients(folder, runs)
    clients = clients.assign(accuracy=100 * clients["test_correct"] / clients["test_samples"])
    tables = {"runs": runs, "clients": clients.drop(columns="selection"), "curves": curves}
    own = {name: table.reset_index(drop=True) for name, table in tables.items()}
    return own, left_out([*problems, *more])


def published(name: str) -> Results:
    """The published results of a suite, from the package. RequestError for one that has none, with those that have."""
    found = shipped.frames(name)
    return Results(name, found["runs"], found["clients"], found["curves"])
