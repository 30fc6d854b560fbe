"""One cell of a published run, edited: ``python -m tests.tampering --count 1000 --seed 1``.

Each case copies a run with its split, edits one cell of one table or one value of ``run.json``, and asks whether
reading, or what ``results validate`` compares without computing anything, notices. What may go unnoticed is
``UNDECIDED``; ``tests/test_tampering.py`` runs a fixed slice.
"""

import argparse
import collections
import csv
import io
import json
import random
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pfl_bench.results.cross_checks import contradictions
from pfl_bench.results.record import Unreadable, read_record
from pfl_bench.testing.as_asked import not_as_asked

PUBLISHED = Path(__file__).parents[1] / "results" / "published"
UNDECIDED = (
    "run.json versions", "run.json hardware", "run.json git_commit", "run.json time", "run.json device",
    "run.json backend", "run.json suite", "run.json peak_memory_bytes", "run.json state_floats",
    "run.json shared_floats", "run.json config_from", "run.json lockstep", "run.json begun_under",
    "run.json sources", "run.json enrolls", "run.json client_model_size", "run.json data_facts",
    "run.json costs.bytes_down", "run.json costs.bytes_up", "run.json costs.adapt_steps",
    "run.json costs.adapt_forward_samples",  # of runs that enroll newcomers after the last evaluation
    "history.csv client_std", "history.csv client_min", "history.csv worst_decile", "history.csv loss",
    "history.csv log_loss", "history.csv macro_f1", "history.csv auc", "history.csv calibration_error",
    "history.csv balanced_accuracy", "history.csv client_mean",
    "vectors.csv v", "clusters.csv cluster", "union.csv reweighted_accuracy",
    # What is noticed where there are other runs or seeds (``across``), and here is but one; and of newcomers:
    "partitions label", "partitions validation", "partitions test",
)  # fmt: skip
"""Kinds of edits of which some go unnoticed."""

Places = Iterator[tuple[Any, Any, tuple[Any, ...]]]


def places(value: Any, path: tuple[Any, ...] = ()) -> Places:
    """Every value of a document that holds no others: what holds it, its key, and the way to it."""
    for key, inner in list(value.items() if isinstance(value, dict) else enumerate(value)):
        if isinstance(inner, dict | list):
            yield from places(inner, (*path, key))
        else:
            yield value, key, (*path, key)


def another(value: Any, r: random.Random) -> Any:
    """A value of the same kind that is not this one."""
    if isinstance(value, bool) or value is None:
        return value is None or not value
    if isinstance(value, int):
        return value + r.choice([-1, 1, 2, 10])
    if isinstance(value, float):
        return value * r.choice([0.5, 0.9, 0.99, 1.01, 1.1, 2]) + r.choice([0.001, 0.25])
    return f"{value}0"


def edit_document(path: Path, r: random.Random) -> str:
    """Edit a value of ``run.json``; which kind of value it was."""
    document = json.loads(path.read_text(encoding="utf-8"))
    holder, key, way = r.choice(list(places(document)))
    holder[key] = another(holder[key], r)
    path.write_text(json.dumps(document), encoding="utf-8")
    long = way[0] in ("summary", "costs")
    return f"run.json {'.'.join(map(str, way)) if long else way[0]}"


def edit_table(path: Path, r: random.Random) -> str:
    """Edit a cell of a table; which column it was in."""
    header, *rows = csv.reader(io.StringIO(path.read_text(encoding="utf-8")))
    row, column = r.randrange(len(rows)), r.randrange(len(header))
    cell = rows[row][column]
    try:
        figure: Any = float(cell) if "." in cell or "e" in cell else int(cell)
    except ValueError:
        figure = cell
    rows[row][column] = str(another(figure, r))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    path.write_text(text.getvalue(), encoding="utf-8")
    table = "partitions" if path.parent.name == "partitions" else path.name
    return f"{table} {'v' if table == 'vectors.csv' and column else header[column]}"


def copied(run: Path, folder: Path) -> Path:
    """A published run with its split in a suite's folder of its own; that folder."""
    suite = folder / run.parents[1].name
    shutil.copytree(run, suite / "runs" / run.name)
    sha256 = json.loads((run / "run.json").read_text(encoding="utf-8"))["partition_sha256"]
    (suite / "partitions").mkdir()
    shutil.copy(run.parents[1] / "partitions" / f"{sha256[:12]}.csv", suite / "partitions")
    return suite


def noticed(suite: Path, run: str) -> tuple[str, list[str]]:
    """By what a folder of one run is found to be tampered with (``reading``, ``validate`` or ""), and what is said."""
    try:
        record = read_record(suite / "runs" / run)
    except Unreadable as error:
        return "reading", [str(error)]
    said = [*contradictions(suite, record), *not_as_asked(suite, [record], ())]
    return ("validate" if said else ""), said


def tamper(run: Path, r: random.Random, folder: Path) -> tuple[str, str, list[str]]:
    """Edit one cell of a copy: the kind of cell, by what it was noticed, and what was said."""
    suite = copied(run, folder)
    path = r.choice(sorted([*(suite / "runs" / run.name).iterdir(), *(suite / "partitions").iterdir()]))
    kind = edit_document(path, r) if path.suffix == ".json" else edit_table(path, r)
    return kind, *noticed(suite, run.name)


def examine(count: int, seed: int) -> dict[str, collections.Counter[str]]:
    """So many edits of published runs, suites in turn: per kind of cell, by what they were noticed, how often."""
    suites = [runs for place in sorted(PUBLISHED.glob("*/runs")) if (runs := sorted(place.iterdir()))]
    found: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    for number in range(count):
        r = random.Random(f"{seed} {number}")
        with tempfile.TemporaryDirectory(prefix="pfl-bench-tampering-") as folder:
            kind, by, _ = tamper(r.choice(suites[number % len(suites)]), r, Path(folder))
        found[kind][by or "nothing"] += 1
    return found


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = examine(options.count, options.seed)
    total = sum(found.values(), collections.Counter())
    for kind, by in sorted(found.items(), key=lambda item: -item[1]["nothing"]):
        print(f"{kind:44} " + ", ".join(f"{number} by {what}" for what, number in sorted(by.items())))
    wrong = sorted(kind for kind, by in found.items() if by["nothing"] and kind not in UNDECIDED)
    print(f"{options.count} edits, noticed by {dict(total)}; unnoticed though decided: {wrong or 'none'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
