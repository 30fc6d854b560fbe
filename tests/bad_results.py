"""Results folders that somebody or something has spoilt: ``python -m tests.bad_results --count 1000 --seed 1``.

Each case takes a folder of six published runs and damages one thing in it. ``leaderboard`` must end with status 0, or
with one bounded line that begins with ``error: ``; no run may appear with another figure than it had, or twice; what is
printed has no control character in it; what lies outside of the folder stays. ``tests/test_bad_results.py`` runs a
fixed slice.
"""

import argparse
import collections
import contextlib
import io
import json
import math
import os
import random
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench import metrics
from pfl_bench.cli.app import run_command_line
from pfl_bench.results.frame import read_runs
from tests.bad_data.cases import damage

PUBLISHED = Path(__file__).parents[1] / "results" / "published" / "quick"
SECONDS, LONGEST = 20, 1300
FIGURES = [*(metric.key for metric in metrics.METRICS), "validation_accuracy", "last_accuracy", "seed", "visits"]
ODD_NAMES = ["\x1b[31mred", "a\nb", "%s", "=1+1", "x" * 200, "\udcff", ".hidden", "fedavg-s0-000000000000", "a b"]

Maker = Callable[[random.Random, Path], None]
KINDS: dict[str, Maker] = {}


def kind(maker: Maker) -> Maker:
    """Enter a function that spoils a suite's folder."""
    KINDS[maker.__name__.replace("_", " ")] = maker
    return maker


def a_run(r: random.Random, folder: Path) -> Path:
    """One of the folder's runs."""
    return r.choice(sorted((folder / "runs").iterdir()))


@kind
def bytes_of_a_record(r: random.Random, folder: Path) -> None:
    """Flipped bits, a cut, zeros, an insertion."""
    _damage(r, a_run(r, folder) / "run.json")


@kind
def bytes_of_a_table(r: random.Random, folder: Path) -> None:
    """The same in what lies beside the record, or in a partition."""
    tables = [*a_run(r, folder).glob("*.csv"), *sorted((folder / "partitions").glob("*.csv"))[:1]]
    _damage(r, r.choice(sorted(tables)))


@kind
def a_value_of_another_kind(r: random.Random, folder: Path) -> None:
    """Any value in the record becomes what it cannot be."""
    path = a_run(r, folder) / "run.json"
    document = json.loads(path.read_text())
    holder, key = r.choice(list(_places(document)))
    deep: Any = []
    for _ in range(r.choice([50, 500])):
        deep = [deep]
    holder[key] = r.choice([
        None, True, [], {}, "", "x", -1, 1e308, 10**400, 250.0, [[1]], {"a": {"b": 1}}, "\x1b[2J\u202e\udcff",
        "y" * 100_000, "=cmd()", deep,
    ])  # fmt: skip
    path.write_text(json.dumps(document), encoding="utf-8")


@kind
def a_figure_is_better(r: random.Random, folder: Path) -> None:
    """An accuracy is raised by hand."""
    path = a_run(r, folder) / "run.json"
    document = json.loads(path.read_text())
    scores = document["summary"][document["official_moment"]][r.choice(["best", "last"])]
    scores[r.choice(["accuracy", "client_mean", "worst_decile"])] = r.choice([99.99, 100.0, 100.5, 1e9])
    path.write_text(json.dumps(document))


@kind
def a_field_is_gone(r: random.Random, folder: Path) -> None:
    """Or has another name."""
    path = a_run(r, folder) / "run.json"
    document = json.loads(path.read_text())
    holder, key = r.choice([(h, k) for h, k in _places(document) if isinstance(h, dict)])
    value = holder.pop(key)
    if r.random() < 0.5:
        holder[f"{key}_"] = value
    path.write_text(json.dumps(document))


@kind
def a_file_is_something_else(r: random.Random, folder: Path) -> None:
    """A pipe, a folder, a link to nowhere or to a device, huge, empty, not there."""
    victims = [a_run(r, folder) / name for name in ("run.json", "history.csv", "clients.csv")]
    _replace(r, r.choice([*victims, next((folder / "partitions").iterdir())]))


@kind
def a_run_is_something_else(r: random.Random, folder: Path) -> None:
    """The folder of a run is a file, a pipe, a link to itself or to another run."""
    run = a_run(r, folder)
    other = a_run(r, folder)
    shutil.rmtree(run)
    choice = r.randrange(4)
    if choice == 0:
        run.symlink_to(run)
    elif choice == 1 and other != run:
        run.symlink_to(other)
    else:
        run.mkdir()
        _replace(r, run)


@kind
def a_run_is_copied_or_renamed(r: random.Random, folder: Path) -> None:
    """Under an odd name, or that of another seed."""
    run = a_run(r, folder)
    name = r.choice([*ODD_NAMES, run.name.replace("-s0-", "-s7-").replace("-s1-", "-s8-"), f"{run.name}0"])
    target = run.parent / name
    if not target.exists():
        shutil.copytree(run, target) if r.random() < 0.5 else run.rename(target)


@kind
def something_foreign(r: random.Random, folder: Path) -> None:
    """Files and folders that are no runs."""
    place = r.choice([folder, folder / "runs", a_run(r, folder), folder / "partitions"])
    target = place / r.choice(ODD_NAMES)
    if not target.exists():
        target.write_bytes(r.randbytes(100)) if r.random() < 0.5 else target.mkdir()


@kind
def tables_cannot_be_written(r: random.Random, folder: Path) -> None:
    """Where a table belongs lies something else; a link must not be written through."""
    target = folder / r.choice(
        ["leaderboard.csv", "runs.csv", "leaderboard.md", ".leaderboard.csv.new", ".runs.csv.new"]
    )
    (folder.parent / "outside").write_text("mine")
    if r.random() < 0.7:
        target.symlink_to(folder.parent / "outside")
    else:
        target.mkdir()


def _places(value: Any) -> Any:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from _places(inner)


def _damage(r: random.Random, path: Path) -> None:
    path.write_bytes(damage(path.read_bytes(), r))


def _replace(r: random.Random, path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    choice = r.randrange(7)
    if choice == 0:
        os.mkfifo(path)
    elif choice == 1:
        path.mkdir()
    elif choice in (2, 3):
        path.symlink_to(r.choice(["/dev/zero", "/dev/null", "nowhere", "/etc/shadow", "."]))
    elif choice == 4:
        path.write_bytes(b"[" * r.choice([2**14, 2**23 + 1]))
    elif choice == 5:
        path.write_bytes(b"")


def judge(spoil: Maker, r: random.Random, folder: Path, formats: str = "csv,md,tex") -> tuple[str, str]:
    """What came of a case, and what was wrong about it: empty where it is as it must be."""
    suite = folder / "quick"
    _copy(suite)
    before = read_runs(suite).set_index("run_id")
    spoil(r, suite)
    printed, complaints = io.StringIO(), io.StringIO()
    signal.signal(signal.SIGALRM, _too_long)
    signal.alarm(SECONDS)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complaints):
            words = ["leaderboard", "--suite", "quick", "--out", str(folder), "--format", formats]
            status = run_command_line(words)
    except Exception as error:
        return "failed", f"{type(error).__name__}: {str(error)[:300]}"
    finally:
        signal.alarm(0)
    said = complaints.getvalue()
    hidden = [c for c in printed.getvalue() + said if not c.isprintable() and c != "\n"]
    if hidden:
        return "shown", f"printed {hidden[:3]!r}"
    outside = folder / "outside"
    if outside.exists() and outside.read_text() != "mine":
        return "written through", "what lay outside was overwritten"
    if status != 0:
        bad = not said.startswith("error: ") or said.count("\n") != 1 or len(said) > LONGEST
        return "refused", f"status {status}, {said[:300]!r}" if bad else ""
    return _compared(before, pd.read_csv(suite / "runs.csv").set_index("run_id"))


def _compared(before: pd.DataFrame, after: pd.DataFrame) -> tuple[str, str]:
    if not after.index.is_unique or not after.index.isin(before.index).all():
        return "counted", f"runs that were not there: {sorted(set(after.index) - set(before.index))[:3]}"
    for (run_id, row), (_, was_then) in zip(after.iterrows(), before.loc[list(after.index)].iterrows(), strict=True):
        for name in FIGURES:
            was, now = (math.nan if (v := of_run.get(name)) is None else float(v) for of_run in (was_then, row))
            if not math.isnan(now) and not math.isclose(was, now, rel_tol=1e-5):
                return "counted", f"{run_id} has {name} {now}; it had {was}"
    return ("left out" if len(after) < len(before) else "read"), ""


def _copy(suite: Path) -> None:
    (suite / "runs").mkdir(parents=True)
    runs = sorted((PUBLISHED / "runs").iterdir())
    for run in [
        run
        for run in runs
        if run.name.startswith(("fedavg_ft-s", "local-s", "pfedhn-s")) and run.name.split("-")[1] in ("s0", "s1")
    ]:
        shutil.copytree(run, suite / "runs" / run.name)
    shutil.copytree(PUBLISHED / "partitions", suite / "partitions")


def _too_long(*_: object) -> None:
    raise TimeoutError(f"longer than {SECONDS} s")


def examine(
    count: int, seed: int, formats: str = "csv,md,tex"
) -> tuple[dict[str, collections.Counter[str]], list[str]]:
    """Make and judge so many cases, the kinds in turn: counts by kind, and what was wrong."""
    counts: dict[str, collections.Counter[str]] = {name: collections.Counter() for name in KINDS}
    wrong = []
    for number in range(count):
        name = list(KINDS)[number % len(KINDS)]
        with tempfile.TemporaryDirectory(prefix="pfl-bench-bad-results-") as folder:
            outcome, problem = judge(KINDS[name], random.Random(f"{seed} {number}"), Path(folder), formats)
        counts[name][outcome] += 1
        if problem:
            wrong.append(f"{name}, case {number} of seed {seed}: {problem}")
    return counts, wrong


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--formats", default="csv,md,tex")
    options = parser.parse_args()
    counts, wrong = examine(options.count, options.seed, options.formats)
    for name, found in counts.items():
        print(f"{name:30} " + ", ".join(f"{number} {outcome}" for outcome, number in sorted(found.items())))
    print(f"{options.count} cases, {len(wrong)} wrong", *wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
