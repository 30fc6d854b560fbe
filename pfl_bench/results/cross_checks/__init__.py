"""What a run's folder says twice: every cell that others of its tables decide or bound, so that an edit is noticed.

``agreement`` looks at what a table of results is made of, whenever results are read. This looks at all the rest, once,
before somebody else's results are believed (``results validate``): each line names the file, its line and the value. It
computes no run; what no other cell speaks of it cannot notice (``UNNOTICED``).
"""

from collections.abc import Iterator
from pathlib import Path

from pfl_bench.results.agreement import read_cells
from pfl_bench.results.files import Unreadable, read_json
from pfl_bench.results.record import RUN, Record

from .clients import check_clients, check_clusters, check_novel, check_union, check_vectors
from .costs import check_costs
from .evaluations import check_evaluations
from .picks import check_document, check_picks
from .scores import check_scores
from .sheets import Contradiction, Sheet
from .split import Split, check_split, read_split

UNNOTICED = (
    "the spread over clients, losses, macro F1, AUC and calibration error of evaluations that are neither the best nor "
    "the last, as far as their other figures allow them; seconds, traffic and memory that were changed throughout a "
    "run; sizes of states; what is only told (device, back-end, time, commit, libraries, hardware, suite); clusters "
    "and vectors of clients; and what was changed in every place that says it"
)
"""What nobody can notice without computing the run again, in words."""


def contradictions(folder: Path, record: Record) -> Iterator[str]:
    """In what a run of a suite's folder contradicts itself, or the split that it was computed on, a line each."""
    try:
        yield from _contradictions(folder, record)
    except (Contradiction, Unreadable) as error:
        yield str(error)


def evaluations(place: Path, moment: str) -> int:
    """How many evaluations of a moment a run's ``history.csv`` has; 0 where it has none, or cannot be read."""
    try:
        return len(_sheet(place, "history", "moment", "split").evaluations.get((moment, "validation"), ()))
    except Unreadable:
        return 0


def _contradictions(folder: Path, record: Record) -> Iterator[str]:
    place = folder / "runs" / record.id
    document = read_json(place / RUN)
    yield from check_document(document, record)
    split = read_split(folder, record)
    if split is not None:
        yield from check_split(split, record)
    if not (place / "history.csv").exists():
        if record.status == "finished":
            yield "there is no history.csv in it"
        return
    history = _sheet(place, "history", "visits", "round", "moment", "split", "accuracy")
    yield from check_evaluations(history, record)
    later = any((place / f"{name}.csv").exists() for name in ("novel", "vectors"))
    yield from check_costs(history, record, later)
    clients = _sheet(place, "clients", "moment", "selection", "client", "test_samples", "test_correct")
    yield from check_clients(clients, record, document, split)
    yield from check_picks(history, record, document)
    sizes = split or Split.of_clients(clients, record)
    yield from check_scores(history, record, sizes)
    yield from _check_last_words(place, record, document, sizes)


def _check_last_words(place: Path, record: Record, document: dict[str, object], split: Split) -> Iterator[str]:
    """The tables that a run has once, where it has them."""
    for name, columns, check in (
        ("union", ("client", "union_samples", "union_correct", "union_accuracy", "reweighted_accuracy"), check_union),
        ("novel", ("client", "samples", "test_samples", "test_correct", "test_accuracy"), check_novel),
        ("clusters", ("client", "cluster", "group"), check_clusters),
        ("vectors", ("client",), check_vectors),
    ):
        if (place / f"{name}.csv").exists():
            yield from check(_sheet(place, name, *columns), record, document, split)


def _sheet(place: Path, name: str, *columns: str) -> Sheet:
    return Sheet(f"{name}.csv", *read_cells(place / f"{name}.csv", columns))
