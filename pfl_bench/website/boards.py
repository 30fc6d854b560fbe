"""What a site says of a suite, made of its results once: its table, its headline, when and by which code it was run."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from pfl_bench.results.headline import Headline, headline
from pfl_bench.results.imports import with_imported
from pfl_bench.results.leaderboard import leaderboard, named
from pfl_bench.results.matrix import Matrix, matrix
from pfl_bench.results.overall import Overall, overall
from pfl_bench.results.report.collect import Results

SHOWN_ROWS, SHOWN_COLUMNS = 5, 6
"""Of a suite's matrix, on the front page."""
COMMIT_DIGITS = 10


@dataclass(frozen=True)
class Board:
    """``table``: the leaderboard, as reports take it; ``named``: the same with ``entry``. ``newest``: the date of the
    last run. ``commits``: those of the runs, without doubles."""

    name: str
    description: str
    results: Results
    table: pd.DataFrame
    named: pd.DataFrame
    over_all: Overall
    matrix: Matrix
    headline: Headline
    newest: str
    commits: Sequence[str]

    @property
    def commit(self) -> str:
        """The commits in a few words."""
        first = self.commits[0][:COMMIT_DIGITS] if self.commits else "unknown"
        return first if len(self.commits) < 2 else f"{first} and {len(self.commits) - 1} more"


def board(name: str, description: str, results: Results) -> Board:
    """Of the results that ``sources.suites_of`` reads."""
    table = with_imported(leaderboard(results.runs), results.imported)
    over_all = overall(results.runs)
    own = named(table, results.runs)
    grid = matrix(own, over_all)
    dated = results.runs.dropna(subset=["time"]).sort_values("time")
    commits = dict.fromkeys(str(commit) for commit in dated["git_commit"].dropna().iloc[::-1])
    newest = str(dated["time"].iloc[-1])[:10] if len(dated) else ""
    said = headline(results.runs, own, grid, over_all)
    return Board(name, description, results, table, own, over_all, grid, said, newest, list(commits))
