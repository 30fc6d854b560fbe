"""The command ``compare``."""

import math
from pathlib import Path

from pfl_bench.errors import RequestError

from .terminal import make_console, print_rows, say

HEADERS = ("scenario", "method", "before", "after", "difference", "95 % interval", "p", "seeds", "verdict")


def compare_folders(before: Path, after: Path) -> int:
    """Print which cells moved. Exit status 1 if one got significantly worse, its runs fail now, or it is gone."""
    for folder in (before, after):
        if not (folder / "runs").is_dir():
            suites = sorted(str(path.parent) for path in folder.glob("*/runs"))
            hint = f"; did you mean {suites[0]}?" if suites else ""
            raise RequestError(f"compare: {str(folder)!r} is no results folder; it has no folder 'runs'{hint}")
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
        f"{len(worse) - gone} of {len(moved)} cells got worse"
        + (f"; {gone} are gone" if gone else "")
        + (f"; {unjudged} could not be judged" if unjudged else "")
        + " (paired t test over seeds, Holm-corrected)."
    )
    if not any(cell.seeds for cell in moved) and not worse:
        console.print("Nothing was compared: the folders have no run in common on equal data and splits.")
        return 1
    return 1 if worse else 0


def _number(value: float, form: str) -> str:
    return "-" if math.isnan(value) else format(value, form)
