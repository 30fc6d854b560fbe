"""The command ``leaderboard``."""

from pathlib import Path

from pfl_bench.errors import RequestError, nearest, unknown
from pfl_bench.results import EVERY_FORMAT
from pfl_bench.results.ledger import check_writable
from pfl_bench.results.places import is_suite_folder, places_in
from pfl_bench.spec.suite import load_suite
from pfl_bench.text import shortened

from .terminal import make_console, say

MOST_SUITES = 20


def rebuild(suite: str, out: Path, formats: str) -> int:
    """Rebuild the tables of ``<out>/<suite>`` from its runs and print them."""
    console = make_console()
    wanted = tuple(part.strip() for part in formats.split(","))
    for name in wanted:
        if name not in EVERY_FORMAT:
            raise unknown("format", name, EVERY_FORMAT)
    folder = out / (load_suite(suite).name if suite.endswith(".toml") else suite)
    if not is_suite_folder(folder):
        there = sorted(places_in(out))
        named = ", ".join(there[:MOST_SUITES]) + (" ..." if len(there) > MOST_SUITES else "")
        near = nearest(suite, there, 1)
        hint = f" did you mean {near[0]!r}?" if near else ""
        raise RequestError(
            f"--suite: no runs in {shortened(str(folder), 200)};{hint} suites with runs in {out}: {named or '(none)'}"
        )
    check_writable(folder)
    from pfl_bench.results.notes import left_out  # these load pandas and scipy
    from pfl_bench.results.overall import overall, several_scenarios
    from pfl_bench.results.publish import publish

    from .board import print_leaderboard, print_overall

    done = publish(folder, wanted)
    print_leaderboard(console, done.table, set(done.table["scenario"]))
    if several_scenarios(done.table):
        print_overall(console, overall(done.runs))
    for line in left_out(done.problems):
        say(console, line)
    say(console, "Written: " + ", ".join(str(path) for path in done.files))
    return 0
