"""``python -m tests.bad_data --count 1000 --seed 1``: counts by kind; what was not right; exit status 1 if anything."""

import argparse
import collections
import random
import tempfile
from pathlib import Path

from . import imagefolder, npz, partitions, stored
from .cases import MAKERS, judge

ROOMS = (npz, imagefolder, partitions, stored)


def examine(count: int, seed: int) -> tuple[dict[str, collections.Counter[str]], list[str]]:
    """Make and judge ``count`` cases, the kinds in turn: counts by kind, and what was wrong."""
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in MAKERS}
    wrong = []
    for number in range(count):
        name = list(MAKERS)[number % len(MAKERS)]
        with tempfile.TemporaryDirectory(prefix="pfl-bench-bad-data-") as folder:
            outcome, problem = judge(MAKERS[name](random.Random(f"{seed} {number}"), Path(folder)))
        counts[name][outcome] += 1
        if problem:
            wrong.append(f"{name}, case {number} of seed {seed}: {problem}")
    return counts, wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts, wrong = examine(options.count, options.seed)
    for name, found in counts.items():
        print(f"{name:50} " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items())))
    print(f"{options.count} cases, {len(wrong)} wrong", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
