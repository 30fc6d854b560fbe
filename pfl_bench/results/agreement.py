"""A run's folder must agree with itself: its name with what was asked, its result with the tables beside it.

A run's id and its configuration's hash are computed again (``spec.identity``), so that a copy or an edit, which would
count as a further seed or a better result, is no run. Every reader goes through ``record.read_record``, and so through
this.
"""

import csv
import io
import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pfl_bench import metrics
from pfl_bench.errors import shown
from pfl_bench.spec.identity import VERSION_1_METHODS, config_hash, run_id
from pfl_bench.text import shortened

from .fields import Fields
from .files import MOST_TABLE_BYTES, Unreadable, read_text

METHOD = re.compile(r"[a-z][a-z0-9_]{0,99}")
SCENARIO = re.compile(r"[a-z0-9][a-z0-9._+@-]{0,199}")
AFTERWARDS = ("bytes_down", "bytes_up", "adapt_steps", "adapt_forward_samples")
"""What newcomers, or vectors of clients, may cost after the last evaluation."""
_LATER_FIELDS, _VERSIONS = 8, 3
UNION = ("union_accuracy", "reweighted_accuracy")
_PERCENT_OF_RUN = ("validation_accuracy", "validation_primary", "union_accuracy", "reweighted_accuracy", "hurt")


def check_request(folder: str, document: Fields) -> None:
    """Unreadable unless ``run.json`` has the id that its own content gives, and lies in the folder of that name.

    A folder that is being written or replaced is called ``.<id>.`` and an ending.
    """
    method, scenario = document["method"], document["scenario"]["id"]
    for kind, name, form in (("method", method, METHOD), ("scenario", scenario, SCENARIO)):
        if not isinstance(name, str) or not form.fullmatch(name):
            raise Unreadable(f"{shown(name)} is no name of a {kind}")
    name = folder[1:].rpartition(".")[0] if folder.startswith(".") else folder
    if document.get("id", name) != name:
        raise Unreadable(f"run.json is of the run {shown(document['id'])}: a copy, or renamed")
    config = document.get("config") or {}
    hashed = _hashed(method, document, config)
    content = next((c for c in hashed if config_hash(method, c) == document["config_hash"]), None)
    if content is None:
        raise Unreadable(f"its config_hash {shown(document['config_hash'])} is not that of its configuration")
    if name != (own := run_id(method, content, document["scenario"], document["seed"])):
        raise Unreadable(f"what it says of itself is the run {own}: edited, or copied")


def _hashed(method: str, document: Fields, config: Fields) -> Iterator[Fields]:
    """What of the configuration may have been hashed: as recorded; in older runs all of it, or all but later fields
    that were at their default."""
    recorded = document.get("config_identity")
    if isinstance(recorded, dict):
        if all(name == "version" or config.get(name) == value for name, value in recorded.items()):
            yield recorded
        return
    later = [name for name in config if name not in VERSION_1_METHODS.get(method, ())]
    sizes = range(len(later) + 1) if len(later) <= _LATER_FIELDS else (0,)
    for without in itertools.chain.from_iterable(itertools.combinations(later, size) for size in sizes):
        kept = {name: value for name, value in config.items() if name not in without}
        yield kept
        yield from ({**kept, "version": version} for version in range(2, _VERSIONS + 1))


def check_figures(summary: Fields) -> None:
    """Unreadable unless every accuracy is a percentage. TypeError for a score that is no number."""
    percent = {metric.key for metric in metrics.METRICS if metric.unit == "percent"}.union(_PERCENT_OF_RUN)
    for moment, selections in summary.items():
        for selection, scores in (selections or {}).items():
            for key in percent & set(scores or {}):
                value = scores[key]
                if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
                    raise TypeError
                if value is not None and not -1e-9 <= value <= 100 + 1e-9:
                    where = shortened(f"{moment}.{selection}.{key}", 100)
                    raise Unreadable(f"{where}={value:.6g} is no percentage between 0 and 100")


def check_tables(folder: Path, summary: Fields, primary: str = metrics.PRIMARY, costs: Fields | None = None) -> None:
    """Unreadable unless ``history.csv`` and ``clients.csv`` are whole and say what ``summary`` says; and ``union.csv``,
    where models were scored on everybody's test data. ``primary``: the metric that evaluations are chosen by.
    ``costs``: of a finished run; what it had spent at its last evaluation, and perhaps on newcomers since.

    Scores that say when they were picked came with both files; a record without any has nothing that could disagree.
    """
    picks = [
        (str(moment), selection, scores)
        for moment, selections in summary.items()
        for selection, scores in (selections or {}).items()
        if scores and "visits" in scores
    ]
    if not picks:
        return
    at, rows = read_cells(folder / "history.csv", ("visits", "moment", "split", "accuracy"))
    _check_history(picks, at, rows, primary)
    _check_spent(costs or {}, at, rows[-1])
    _check_clients(picks, *read_cells(folder / "clients.csv", ("moment", "selection", "test_samples", "test_correct")))
    for moment, selection, scores in picks:
        if {"union_accuracy", "reweighted_accuracy"} & set(scores):
            _check_union(f"{moment}.{selection}", scores, *read_cells(folder / "union.csv", UNION))


Pick = tuple[str, str, Fields]
Place = Mapping[str, int]


def _check_history(picks: Sequence[Pick], at: Place, rows: Sequence[Sequence[str]], primary: str) -> None:
    wanted = {(moment, str(scores["visits"])) for moment, _, scores in picks}
    found = {
        (*once, row[at["split"]]): row for row in rows if (once := (row[at["moment"]], row[at["visits"]])) in wanted
    }
    of_test = {metric.key: metric.key for metric in metrics.METRICS}
    of_validation = {"validation_accuracy": "accuracy", "validation_primary": primary}
    for moment, selection, scores in picks:
        where = f"{moment}.{selection}"
        for split, pairs in (("test", of_test), ("validation", of_validation)):
            row = found.get((moment, str(scores["visits"]), split))
            if row is None:
                raise Unreadable(f"history.csv lacks the {split} of {where}, at {shown(scores['visits'])} visits")
            for key, column in pairs.items():
                if key in scores and column in at and not _equal(scores[key], row[at[column]]):
                    said = f"{shown(scores[key])} in run.json and {shown(row[at[column]])} in history.csv"
                    raise Unreadable(f"{where}.{key} is {said}")


def _check_spent(costs: Fields, at: Place, last: Sequence[str]) -> None:
    for name, amount in costs.items():
        if name in at and amount is not None:
            spent = last[at[name]]
            if not _equal(amount, spent) and not (name in AFTERWARDS and _exceeds(amount, spent)):
                said = f"{shown(amount)} in run.json and {shown(spent)} at the end of history.csv"
                raise Unreadable(f"costs.{name} is {said}")


def _check_clients(picks: Sequence[Pick], at: Place, rows: Sequence[Sequence[str]]) -> None:
    totals: dict[tuple[str, str], list[float]] = {}
    moments, selections = at["moment"], at["selection"]
    try:
        counts = [(float(row[at["test_correct"]]), float(row[at["test_samples"]])) for row in rows]
    except ValueError as error:
        raise Unreadable("clients.csv has a count that is no number") from error
    for row, (correct, samples) in zip(rows, counts, strict=True):
        if not 0 <= correct <= samples:
            raise Unreadable(f"clients.csv has {correct:g} correct of {samples:g} samples")
        sums = totals.setdefault((row[moments], row[selections]), [0.0, 0.0])
        sums[0] += correct
        sums[1] += samples
    for moment, selection, scores in picks:
        correct, samples = totals.get((moment, selection), (0.0, 0.0))
        accuracy = 100 * correct / samples if samples else math.nan
        if not _equal(scores.get("accuracy"), accuracy):
            raise Unreadable(
                f"{moment}.{selection}.accuracy is {shown(scores.get('accuracy'))} in run.json and {accuracy:.6g} "
                "by clients.csv"
            )


def _check_union(where: str, scores: Fields, at: Place, rows: Sequence[Sequence[str]]) -> None:
    for key in UNION:
        known = [float(row[at[key]]) for row in rows if row[at[key]] not in ("", "nan")]
        mean = sum(known) / len(known) if known else math.nan
        if not _equal(scores.get(key), mean):
            raise Unreadable(f"{where}.{key} is {shown(scores.get(key))} in run.json and {mean:.6g} by union.csv")


def read_cells(path: Path, columns: Sequence[str]) -> tuple[Place, list[list[str]]]:
    """Where each column is, and the rows."""
    try:
        text = read_text(path, MOST_TABLE_BYTES)
    except FileNotFoundError as error:
        raise Unreadable(f"there is no {path.name} in it") from error
    if text and not text.endswith("\n"):
        raise Unreadable(f"{path.name} was cut off")
    try:
        header, *rows = csv.reader(io.StringIO(text), strict=True)
    except (ValueError, csv.Error) as error:
        raise Unreadable(f"{path.name} is no table") from error
    at = {name: place for place, name in enumerate(header)}
    if missing := [name for name in columns if name not in at]:
        raise Unreadable(f"{path.name} lacks the column {', '.join(missing)}")
    if set(map(len, rows)) - {len(header)}:
        raise Unreadable(f"{path.name} has rows that do not fit its header")
    return at, rows


def _equal(figure: Any, other: Any) -> bool:
    """Whether two figures are one. NaN and infinity, which JSON does not have, are none or empty."""
    try:
        a, b = (math.nan if value is None or value == "" else float(value) for value in (figure, other))
    except (TypeError, ValueError):
        return False
    if math.isfinite(a) and math.isfinite(b):
        return math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-6)
    return not math.isfinite(a) and not math.isfinite(b)


def _exceeds(figure: float, cell: str) -> bool:
    """Whether a figure is more than a cell says."""
    try:
        return figure > float(cell)
    except ValueError:
        return False
