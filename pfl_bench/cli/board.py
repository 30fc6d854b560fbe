"""The leaderboard on the terminal."""

from collections.abc import Collection, Sequence

import pandas as pd
from rich.console import Console

from pfl_bench.results.comparable import plain
from pfl_bench.results.display import ACCURACY, TIED, Shown, marks, place_of, text_columns, texts, titles, untested
from pfl_bench.results.notes import of_rows, of_scenarios
from pfl_bench.results.overall import Overall
from pfl_bench.text import shortened

from .terminal import print_rows, say

LONGEST = 300
"""Characters of the reasons of an entry's runs."""


def print_leaderboard(console: Console, table: pd.DataFrame, scenarios: Collection[str]) -> None:
    """The leaderboard of these scenarios, with what had to be told apart from them.

    Accuracy in percent on test data, mean ± std over seeds.
    """
    wanted, absent = {plain(scenario) for scenario in scenarios}, dict[str, None]()
    for title, part in titles(table[table["scenario"].map(lambda name: plain(name) in wanted).astype(bool)]).items():
        every = text_columns(part)
        shown = _fitting(part, every, console.width)
        absent |= dict.fromkeys(column.title for column in every if column not in shown)
        numeric = [column.title for column in shown if column.numeric]
        rows, accuracy = texts(part, shown), place_of(ACCURACY, shown)
        for row, own in zip(rows, marks(part), strict=True):
            row[accuracy] += " †" if "tie" in own else ""
        print_rows(console, title, [column.title for column in shown], rows, numeric)
        for method, reason in dict.fromkeys(zip(part["method"], part["reason"], strict=True)):
            if reason:
                say(console, f"  {method}: {shortened(reason, LONGEST)}")
        legend = TIED if part["p_versus_best"].notna().any() else ""
        for note in (legend, untested(part), *of_rows(part)):
            if note:
                say(console, f"  {note}")
    if absent:
        note = f"Columns for which there is no room here: {'; '.join(absent)}. The written files have all."
        console.print(note, markup=False, highlight=False)
    for note in of_scenarios(table):
        say(console, note)


def print_overall(console: Console, found: Overall) -> None:
    """What may be said over all scenarios, and what was left out for it."""
    print_rows(console, "Over all scenarios", found.headings(), found.rows(), found.headings()[1:])
    for note in found.notes:
        say(console, f"  {note}")


def _fitting(part: pd.DataFrame, every: Sequence[Shown], width: int) -> list[Shown]:
    """The columns without as many as it takes to fit, those with the lowest ``keep`` first; the CSV has them all."""
    kept = list(every)
    widths = {
        column: 3 + max(map(len, [column.title, *cells]))
        for column, cells in zip(every, zip(*texts(part, every), strict=True), strict=True)
    }
    expendable = sorted((column.keep, place) for place, column in enumerate(every) if column.keep is not None)
    for _, place in expendable:
        if 1 + sum(widths[column] for column in kept) > width:
            kept.remove(every[place])
    return kept
