"""The leaderboard as it is read: which columns a table has, what their cells say, and which rows are marked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from pfl_bench.text import counted

from . import columns
from .cells import Cell, Heading, interval, missing, number, real, words
from .columns import Column
from .entries import entry_name
from .mixtures import MARK, MIXED
from .notes import IMPORTED
from .primary import heading
from .record import TROUBLES

TIED = "†: not significantly worse than the best: in its 95 % confidence set (sign flips over seeds)"

Row = Mapping[Any, Any]
NONE = pd.Series(dtype=float)
UNITS = {"percent": "%"}


@dataclass(frozen=True)
class Shown(Heading):
    """A column of a table to read: its heading, and a cell from a leaderboard's row.

    ``needed`` tells whether a table has something to show here; ``keep`` as in ``Column``, None for what never goes.
    """

    cell: Callable[[Row], Cell] = lambda row: Cell("")
    needed: Callable[[pd.DataFrame], bool] = lambda table: True
    keep: int | None = None


UNDEFINED = "undefined"
"""What is shown where runs finished, and what ranks does not exist for their clients."""


def _accuracy(row: Row) -> Cell:
    if missing(row["accuracy_mean"]) and row["seeds"]:
        return Cell(UNDEFINED)
    spread = "" if missing(row["accuracy_std"]) else f" ± {row['accuracy_std']:.2f}"
    return Cell(number(row["accuracy_mean"], 2).text + spread, real(row["accuracy_mean"]))


def _runs(row: Row) -> Cell:
    mark = f" {MARK}" if row[MIXED] else ""
    troubles = [f"{row[status]} {status}" for status in TROUBLES if row[status]]
    return Cell(", ".join([f"{row['seeds']}{mark}", *troubles]), float(row["seeds"]))


def _interval(row: Row) -> Cell:
    """Untold where there are seeds for one, but it would span all percentages."""
    shown = interval(row["ci_low"], row["ci_high"])
    return Cell("untold") if not shown.text and row["seeds"] > 1 and not missing(row["accuracy_mean"]) else shown


def _versus_best(row: Row) -> Cell:
    if missing(row["p_versus_best"]):
        place = {"best": 2.0, "untested": -1.0}
        return Cell(words(row["versus_best"]).text, place.get(row["versus_best"]))
    return Cell(f"{row['versus_best']} (p = {row['p_versus_best']:.2g})", real(row["p_versus_best"]))


def _published(row: Row) -> Cell:
    """``88.38 ± 0.29 (-0.21, inside)``: the published figure, our difference to it, and how to read that."""
    if missing(row["published_mean"]):
        return Cell("")
    spread = "" if missing(row["published_std"]) else f" ± {row['published_std']:.2f}"
    difference = "" if missing(row["difference"]) else f"{row['difference']:+.2f}, "
    secondary = ", second hand" if row["published_status"] == "secondary" else ""
    return Cell(f"{row['published_mean']:.2f}{spread} ({difference}{row['verdict']}{secondary})")


RANK = Shown("rank", better="lower", cell=lambda row: number(row["rank"], 0))
METHOD = Shown("method", numeric=False, cell=lambda row: Cell(entry_name(row["method"], row["variant"])))
ACCURACY = Shown(
    "accuracy", note="pooled test accuracy, percent; mean ± standard deviation over seeds", unit="%", better="higher",
    cell=_accuracy,
)  # fmt: skip
RANKS = "on test data, percent; mean ± standard deviation over seeds"
INTERVAL = Shown(
    "95 % interval", note="Student's t, over seeds, given this one data set", unit="%", better="higher",
    cell=_interval, keep=4,
)  # fmt: skip
TEST_ERROR = Shown(
    "test error",
    note="standard error of a run's accuracy on its test samples, points; more seeds make it no smaller",
    unit="points",
    better="lower",
    cell=lambda row: number(row["test_error"], 2),
    needed=lambda table: bool(table.get("test_error", NONE).notna().any()),
)
VERSUS_BEST = Shown(
    "against the best", numeric=False, note="95 % confidence set of the best: sign flips over seeds", better="higher",
    cell=_versus_best,
)  # fmt: skip
MOMENT = Shown(
    "moment", numeric=False, note="global: server model; received: before, adapted: after local adaptation",
    cell=lambda row: words(row["moment"]), keep=2,
)  # fmt: skip
SEEDS = Shown("seeds", numeric=False, cell=_runs)
RUNS = Shown(
    "runs", note=f"finished runs, and what became of the others; {MARK}: of different commits or machines", cell=_runs
)
PUBLISHED = Shown(
    "published", numeric=False, note="published figure (our difference, whether inside both spreads)",
    cell=_published, needed=lambda table: bool(table["published_mean"].notna().any()),
)  # fmt: skip

OTHERS = Shown(
    "imported", numeric=False, note="others' figures (results import): neither ranked nor averaged",
    cell=lambda row: words(row[IMPORTED]), needed=lambda table: bool(table.get(IMPORTED, NONE).notna().any()), keep=8,
)  # fmt: skip


def text_columns(table: pd.DataFrame) -> list[Shown]:
    """The columns of a table in the terminal, in Markdown or LaTeX."""
    return _needed(table, [RANK, METHOD, ACCURACY, INTERVAL, *_means("everywhere"), SEEDS, PUBLISHED, OTHERS])


def report_columns(table: pd.DataFrame) -> list[Shown]:
    """The columns of the report's leaderboard of one scenario or of several; its first one names the rows."""
    front = [METHOD, ACCURACY, RANK, RUNS, INTERVAL, VERSUS_BEST, TEST_ERROR]
    return _needed(table, [*front, *_means("everywhere", "report"), PUBLISHED, OTHERS])


def _means(*shown: str) -> list[Shown]:
    """What is averaged over seeds: scores, then the moment that they are of, then costs."""
    scores, costs = ([_mean(c) for c in own if c.shown in shown] for own in (columns.scores(), columns.COSTS))
    return [*scores, MOMENT, *costs]


def _mean(column: Column) -> Shown:
    return Shown(
        column.heading or column.key,
        note=column.explanation,
        unit=UNITS.get(column.unit, column.unit),
        better=column.better,
        minor=not column.keep,
        cell=lambda row: number(row[column.key], column.digits, column.scale),
        needed=column.used_in,
        keep=column.keep,
    )


def _needed(table: pd.DataFrame, every: Sequence[Shown]) -> list[Shown]:
    """What a table has something to show for; what ranks has the name of the scenarios' primary metric."""
    ranks = heading(table)
    own = ACCURACY if ranks == ACCURACY.title else replace(ACCURACY, title=ranks, note=RANKS)
    return [own if column is ACCURACY else column for column in every if column.needed(table)]


def place_of(column: Shown, shown: Sequence[Shown]) -> int:
    """Where a column stands, whatever it is called there."""
    return next(place for place, each in enumerate(shown) if each.cell is column.cell)


def texts(table: pd.DataFrame, shown: Sequence[Shown]) -> list[list[str]]:
    """The leaderboard's rows as text under these columns, ``-`` where there is nothing to say."""
    return [[column.cell(row).text or "-" for column in shown] for row in table.to_dict("records")]


def titles(table: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The leaderboard cut by scenario, under titles that state the budget."""
    parts = {}
    for own, part in table.groupby(["scenario", "visits", "local_steps_per_visit"], sort=False):
        scenario, visits, steps = map(str, own)
        scale = part["budget_scale"].iloc[0]
        share = "" if scale == 1 else f", {scale:.4g} x the full budget"
        budget = f"{counted(int(visits), 'client visit')} x {counted(int(steps), 'local step')}"
        parts[f"{scenario}: {budget}{share}"] = part
    return parts


def marks(table: pd.DataFrame) -> list[set[str]]:
    """Per row of one scenario's table: ``best`` and ``second`` by rank, ``tie`` if the confidence set of
    the best holds it and could have excluded it."""
    ranks = sorted(set(table["rank"].dropna()))
    found = []
    for rank, verdict in zip(table["rank"], table["versus_best"], strict=True):
        place = "" if pd.isna(rank) else {0: "best", 1: "second"}.get(ranks.index(rank), "")
        found.append({place, "tie" if verdict == "not significantly different" else ""} - {""})
    return found


def given_the_data(part: pd.DataFrame) -> str:
    """What the intervals and tests of a scenario's table rest on, and the error that its test samples leave."""
    what = "Intervals and † are" if part["p_versus_best"].notna().any() else "Intervals are"
    told = f"{what} over seeds, given this one data set. " if (part["seeds"] > 1).any() else ""
    errors = part.get("test_error", NONE).dropna()
    if len(errors):
        ends = dict.fromkeys(f"{error:.2f}" for error in (errors.min(), errors.max()))
        told += f"The test samples alone leave a run's accuracy a standard error of {' to '.join(ends)} points."
    return told.strip()


def untested(table: pd.DataFrame) -> str:
    """Why a scenario's entries were not tested against its best, or ""."""
    whose: dict[str, list[str]] = {}
    for row in table.to_dict("records"):
        if isinstance(row["versus_note"], str) and row["versus_note"]:
            whose.setdefault(row["versus_note"], []).append(entry_name(row["method"], row["variant"]))
    alike = len(whose) == 1
    notes = [note if alike else f"{', '.join(names)}: {note}" for note, names in whose.items()]
    return f"Not tested against the best: {'; '.join(notes)}." if notes else ""
