"""``history.csv``: which evaluations there are, and when. It follows from the scenario and the size of a cohort."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from pfl_bench.errors import shown
from pfl_bench.results.record import Record

from .sheets import Contradiction, Sheet, hits

SPLITS = ("validation", "test")


def check_evaluations(history: Sheet, record: Record) -> Iterator[str]:
    """Rows of a moment, split, visits and round that should not be there, or are missing."""
    visits, rounds = history.counts("visits"), history.counts("round")
    _check_pairs(history, visits, record)
    yield from _check_order(history, visits, rounds)
    for (moment, split), rows in history.evaluations.items():
        if split == SPLITS[0]:
            yield from _check_cadence(history, visits[rows], rows, moment, record)
    yield from _check_rounds(history, visits, rounds, record)


def _check_pairs(history: Sheet, visits: np.ndarray, record: Record) -> None:
    """Contradiction unless each evaluation of each moment of run.json is on validation and on test data, once."""
    moments = set(map(str, record.summary))
    for row, (moment, split) in enumerate(zip(history.texts("moment"), history.texts("split"), strict=True)):
        if moment not in moments:
            raise Contradiction(f"{history.where(row)}: moment is {shown(moment)}; run.json has {', '.join(moments)}")
        if split not in SPLITS:
            raise Contradiction(f"{history.where(row)}: split is {shown(split)}, which is none of {', '.join(SPLITS)}")
    for moment in moments:
        own = [visits[history.evaluations.get((moment, split), np.empty(0, int))].tolist() for split in SPLITS]
        for split, here in zip(SPLITS, own, strict=True):
            if twice := sorted(v for v in set(here) if here.count(v) > 1):
                raise Contradiction(f"history.csv has the {split} of {moment} at {twice[0]} visits twice")
        for split, here, there in zip(SPLITS, own, reversed(own), strict=True):
            if lacking := sorted(set(there) - set(here)):
                raise Contradiction(f"history.csv lacks the {split} of {moment} at {lacking[0]} visits")


def _check_order(history: Sheet, visits: np.ndarray, rounds: np.ndarray) -> Iterator[str]:
    """Visits and rounds grow together."""
    for row in range(1, len(history)):
        same = visits[row] == visits[row - 1]
        if visits[row] < visits[row - 1]:
            yield f"{history.where(row)}: visits is {visits[row]}, after {visits[row - 1]} in the line before"
        elif same != (rounds[row] == rounds[row - 1]) or rounds[row] < rounds[row - 1]:
            yield (
                f"{history.where(row)}: round is {rounds[row]} at {visits[row]} visits, and {rounds[row - 1]} at "
                f"{visits[row - 1]} in the line before"
            )


def _check_cadence(
    history: Sheet, visits: np.ndarray, rows: np.ndarray, moment: str, record: Record
) -> Iterator[str]:  # fmt: skip
    """An evaluation follows the round in which a multiple of ``eval_every`` visits was reached; none is left out."""
    every = record.scenario.get("eval_every")
    if moment == "adapted":
        every = record.scenario.get("adapt_every") or every
    size = cohort(record)
    if not isinstance(every, int) or size is None:
        return
    for place, (row, now) in enumerate(zip(rows, visits, strict=True)):
        if now != record.visits and now % every >= size:
            yield f"{history.where(row)}: visits is {now}; evaluations of {moment} follow each multiple of {every}"
        if place and size <= every and now // every - visits[place - 1] // every > 1:
            missing = (visits[place - 1] // every + 1) * every
            if missing <= record.visits and not (now == record.visits and now // every * every == missing):
                yield f"{history.where(row)}: {now} visits follow {visits[place - 1]}; {missing} are missing"
    if record.status == "finished" and (not len(visits) or visits[-1] != record.visits):
        yield f"history.csv lacks {moment} at the end, {record.visits} visits"


def _check_rounds(history: Sheet, visits: np.ndarray, rounds: np.ndarray, record: Record) -> Iterator[str]:
    """Where everybody is there, a round is a cohort's visits; what ``init`` took comes before the first one."""
    size = cohort(record)
    if size is None or always_there(record.scenario) is False or not len(history):
        return
    within = visits < record.visits
    before = visits - rounds * size
    usual = most_frequent(before[within]) if within.any() else None
    for row in hits(within & (before != usual)) if usual is not None else ():
        expected = usual + rounds[row] * size
        yield f"{history.where(row)}: round is {rounds[row]} at {visits[row]} visits; its visits are {expected}"
    if usual is not None and usual < 0:
        yield f"{history.where(0)}: round is {rounds[0]} at {visits[0]} visits, more rounds of {size} than that"
    for row in hits(~within):
        if usual is not None and rounds[row] != -(-(record.visits - usual) // size):
            expected = -(-(record.visits - usual) // size)
            yield f"{history.where(row)}: round is {rounds[row]} at {visits[row]} visits; it must be {expected}"


def cohort(record: Record) -> int | None:
    """How many clients a round asks; None where the configuration does not say."""
    size, clients = record.config.get("cohort"), record.scenario.get("clients")
    if type(size) is not int or type(clients) is not int or size < 1:
        return None
    return min(size, clients - int(record.scenario.get("novel") or 0))


def always_there(scenario: Any) -> bool:
    """Whether whoever is asked takes part."""
    return bool((scenario.get("availability") or {}).get("present", 1) == 1)


def most_frequent(values: np.ndarray) -> Any:
    """The value that occurs most often; the first of them."""
    found, counts = np.unique(values, return_counts=True)
    return found[counts.argmax()]
