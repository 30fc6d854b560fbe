"""For maintainers: the published results that ship with the package; ``python -m pfl_bench.testing.ship``.

Reads the suites in ``results/published`` and writes their frames to ``pfl_bench/results/shipped``. A test fails while
the two do not agree.
"""

import sys
from pathlib import Path

import pandas as pd

from pfl_bench.commands import parser, run_parsed
from pfl_bench.results import shipped
from pfl_bench.results.files import write_bytes
from pfl_bench.results.frame import scan_runs
from pfl_bench.results.loaded import frames_of
from pfl_bench.results.packed import dumps
from pfl_bench.results.places import suite_folders

TUNING = "-tuning"


def published_suites(folder: Path) -> dict[str, Path]:
    """Suites with runs, but for those of tuning, which nobody compares."""
    return {name: place for name, place in suite_folders(folder).items() if not name.endswith(TUNING)}


def tables_of(folder: Path) -> dict[str, pd.DataFrame]:
    """What is shipped of a suite."""
    return frames_of(folder, scan_runs(folder)[0])[0]


def ship(folder: Path, into: Path) -> list[Path]:
    """Write a file per suite, and remove those of suites that are not published any more."""
    suites = published_suites(folder)
    for old in into.glob(f"*{shipped.ENDING}"):
        if old.name.removesuffix(shipped.ENDING) not in suites:
            old.unlink()
    return [write_bytes(into / (name + shipped.ENDING), dumps(tables_of(place))) for name, place in suites.items()]


def main(arguments: list[str]) -> int:
    """Run the command line and return the exit status."""
    asked = parser("pfl_bench.testing.ship", __doc__)
    asked.add_argument("folder", nargs="?", default="results/published", help="default: results/published")

    def work(words: object) -> int:
        for path in ship(Path(vars(words)["folder"]), Path(shipped.__file__).parent):
            print(f"{path.name}: {path.stat().st_size / 1e3:.0f} kB")
        return 0

    return run_parsed(asked, arguments, work)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
