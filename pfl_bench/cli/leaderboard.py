"""The command ``leaderboard``."""

from pathlib import Path

from pfl_bench.errors import RequestError, unknown
from pfl_bench.results import EVERY_FORMAT
from pfl_bench.results.ledger import check_writable

from .terminal import make_console


def rebuild(suite: str, out: Path, formats: str) -> int:
    """Rebuild the tables of ``<out>/<suite>`` from its runs and print them."""
    console = make_console()
    wanted = tuple(part.strip() for part in formats.split(","))
    for name in wanted:
        if name not in EVERY_FORMAT:
            raise unknown("format", name, EVERY_FORMAT)
    folder = out / (Path(suite).stem if suite.endswith(".toml") else suite)
    if not (folder / "runs").is_dir():
        there = sorted(path.parent.name for path in out.glob("*/runs")) or ["(none)"]
        raise RequestError(f"--suite: no runs in {folder}; suites with runs in {out}: {', '.join(there)}")
    check_writable(folder)
    from pfl_bench.results.frame import scan_runs  # loads pandas and scipy
    from pfl_bench.results.leaderboard import leaderboard
    from pfl_bench.results.overall import overall, several_scenarios
    from pfl_bench.results.publish import write_tables

    from .board import print_leaderboard, print_overall

    runs, problems = scan_runs(folder)
    table = leaderboard(runs)
    written = write_tables(folder, runs, table, wanted)
    print_leaderboard(console, table, set(table["scenario"]))
    if several_scenarios(table):
        print_overall(console, overall(runs))
    for problem in problems:
        console.print(f"Left out: {problem.where}: {problem.why}", markup=False, soft_wrap=True)
    console.print("Written: " + ", ".join(str(path) for path in written), soft_wrap=True)
    return 0
