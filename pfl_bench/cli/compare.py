"""The command ``compare``."""

import math
from pathlib import Path

from pfl_bench.errors import RequestError
from pfl_bench.results.places import check_suite_folder, is_suite_folder, suite_folders
from pfl_bench.text import agreeing, counted

from .terminal import make_console, print_rows, say

HEADERS = ("scenario", "method", "before", "after", "difference", "95 % interval", "p", "seeds", "verdict")


def compare_folders(before: Path, after: Path) -> int:
    """Print which cells moved. Exit status 1 if one got significantly worse, its runs fail now, or it is gone.

    Folders of several suites are compared suite by suite.
    """
    if is_suite_folder(before) != is_suite_folder(after):
        for folder in (before, after):
            check_suite_folder(folder)  # refuses the one that is not, and names a suite in it
    if is_suite_folder(before):
        return _compare(before, after)
    own, others = suite_folders(before), suite_folders(after)
    common = [name for name in own if name in others]
    if not common:
        raise RequestError(f"compare: {str(before)!r} and {str(after)!r} have no suite in common")
    console = make_console()
    for name in [name for name in own if name not in others]:
        say(console, f"The suite {name} is gone: {own[name]} has no like in {after}")
    for name in [name for name in others if name not in own]:
        say(console, f"The suite {name} is new: {others[name]}")
    worse = [_compare(own[name], others[name]) for name in common]
    return max([*worse, int(len(common) < len(own))])


def _compare(before: Path, after: Path) -> int:
    """The same of one suite's folders."""
    from pfl_bench.results.comparison import UNJUDGED, compare, regressions  # loads pandas and scipy
    from pfl_bench.results.frame import scan_runs
    from pfl_bench.results.notes import left_out

    console = make_console()
    frames = []
    for folder in (before, after):
        frame, problems = scan_runs(folder)
        for line in left_out(problems, str(folder)):
            say(console, line)
        if frame.empty:
            raise RequestError(f"compare: there is no readable run in {str(folder)!r}")
        frames.append(frame)
    moved = compare(*frames)
    rows = [
        [
            cell.scenario,
            cell.entry,
            _number(cell.before, ".2f"),
            _number(cell.after, ".2f"),
            _number(cell.difference, "+.2f"),
            "-" if math.isnan(cell.interval[0]) else f"{cell.interval[0]:+.2f} to {cell.interval[1]:+.2f}",
            "-" if cell.p_value is None else f"{cell.p_value:.2g}",
            str(cell.seeds),
            cell.verdict,
        ]
        for cell in moved
    ]
    print_rows(console, f"{before} and {after}", HEADERS, rows)
    for cell in moved:
        for runs in cell.left_out:
            say(console, f"Left out of {cell.scenario}, {cell.entry}: {runs}")
    worse = regressions(moved)
    unjudged = sum(cell.verdict in UNJUDGED for cell in moved)
    gone = sum(cell.verdict == "gone" for cell in moved)
    console.print(
        f"{len(worse) - gone} of {counted(len(moved), 'cell')} got worse"
        + (f"; {gone} {agreeing(gone, 'is', 'are')} gone" if gone else "")
        + (f"; {unjudged} could not be judged" if unjudged else "")
        + " (paired t test over seeds, Holm-corrected)."
    )
    if not any(cell.seeds for cell in moved) and not worse:
        console.print("Nothing was compared: the folders have no run in common on equal data and splits.")
        return 1
    return 1 if worse else 0


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
