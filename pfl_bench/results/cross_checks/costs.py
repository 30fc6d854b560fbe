"""What a run has spent by each evaluation: the same in all rows of one, never less later, at the end run.json's."""

from collections.abc import Iterator, Mapping

import numpy as np

from pfl_bench.errors import shown
from pfl_bench.results.agreement import AFTERWARDS
from pfl_bench.results.record import Record

from .evaluations import always_there, most_frequent
from .sheets import Sheet, differ, hits, written

COUNTS = (
    "bytes_down", "bytes_up", "local_steps", "samples", "adapt_steps", "forward_samples", "adapt_forward_samples",
    "asked_visits", "asked_steps",
)  # fmt: skip
SECONDS = ("train_seconds", "eval_seconds")
LINEAR = ("bytes_down", "bytes_up", "local_steps", "asked_visits", "asked_steps")
"""What most methods spend equally much of in each visit."""
FEWEST_ON_A_LINE = 5


def check_costs(history: Sheet, record: Record, later: bool) -> Iterator[str]:
    """Costs that contradict others. ``later``: whether the run had more to do after its last evaluation."""
    visits = history.counts("visits")
    columns = {name: history.counts(name).astype(float) for name in COUNTS if name in history}
    columns |= {name: history.figures(name) for name in SECONDS if name in history}
    _, first = np.unique(visits, return_index=True)
    for name, spent in columns.items():
        odd = False
        for start in first:
            same = np.flatnonzero(visits == visits[start])
            usual = most_frequent(spent[same])
            for row in same[(spent[same] != usual) & ~(np.isnan(spent[same]) & np.isnan(usual))]:
                odd = True
                yield (
                    f"{history.where(row)}: {name} is {written(spent[row])}, and {written(usual)} in other lines of "
                    f"this evaluation"
                )
        if not odd:
            yield from _check_growth(history, name, spent, visits, first)
    yield from _check_bounds(history, columns, visits, record)
    yield from _check_end(columns, visits, record, later)


def _check_growth(
    history: Sheet, name: str, spent: np.ndarray, visits: np.ndarray, first: np.ndarray
) -> Iterator[str]:  # fmt: skip
    """Counters do not run backwards, and one that is on a line everywhere else is on it here.

    The first evaluation and the last are not held to that line: a method may spend otherwise before or after a round.
    """
    own = spent[first]
    for place in hits(~(np.diff(own) >= 0)):
        row, before = first[place + 1], first[place]
        yield f"{history.where(row)}: {name} is {written(spent[row])}, after {written(spent[before])} before"
    if np.isnan(own).any() or (own < 0).any():
        yield f"history.csv: {name} has cells that are no amount"
    if name not in LINEAR or len(first) <= FEWEST_ON_A_LINE:
        return
    inner = first[:-1]  # a last round may be a smaller one
    for place in range(1, len(inner) - 1):
        others = np.delete(inner, place)
        rate = (spent[others[-1]] - spent[others[0]]) / (visits[others[-1]] - visits[others[0]])
        line = spent[others[0]] + rate * (visits - visits[others[0]])
        if not differ(spent[others], line[others]).any() and differ(spent[inner[place]], line[inner[place]]):
            row = int(inner[place])
            yield f"{history.where(row)}: {name} is {written(spent[row])}; by all other lines {written(line[row])}"


def _check_bounds(
    history: Sheet, columns: Mapping[str, np.ndarray], visits: np.ndarray, record: Record
) -> Iterator[str]:  # fmt: skip
    """The budget, and what was asked for."""
    steps, batch = columns.get("local_steps"), record.scenario.get("batch_size")
    if steps is None:
        return
    bounds: list[tuple[str, np.ndarray, str, np.ndarray]] = [
        ("local_steps", steps, f"{record.local_steps} a visit allow", visits * float(record.local_steps))
    ]
    samples = columns.get("samples")
    if samples is not None and isinstance(batch, int):
        bounds.append(("samples", samples, f"batches of {batch} in local_steps hold", steps * batch))
        bounds.append(("local_steps", steps, "samples in their batches make", samples))
    for name, least in (("asked_visits", visits.astype(float)), ("asked_steps", steps)):
        asked = columns.get(name)
        if asked is not None:
            bounds.append((name.replace("asked_", "done "), least, f"{name} allows", asked))
    if (adapted := columns.get("adapt_steps")) is not None:
        bounds.append(("adapt_steps", adapted, "its evaluations allow", _allowance(history, visits, record)))
    for name, figure, why, most in bounds:
        for row in hits(figure > most)[:1]:
            yield f"{history.where(row)}: {name} is {written(figure[row])}; {why} {written(most[row])}"
    whole = not record.scenario.get("availability")
    for name, exact in (("asked_visits", visits.astype(float)), ("asked_steps", steps)):
        asked = columns.get(name)
        if asked is not None and (whole or (name == "asked_visits" and always_there(record.scenario))):
            for row in hits(asked != exact)[:1]:
                yield f"{history.where(row)}: {name} is {written(asked[row])}; all are there, so {written(exact[row])}"


def _allowance(history: Sheet, visits: np.ndarray, record: Record) -> np.ndarray:
    """Per row: what all clients together may have taken to adapt in the evaluations up to it."""
    given, scenario = record.scenario.get("adapt_steps"), record.scenario
    each = record.local_steps if given is None else given
    clients = scenario["clients"] - (scenario.get("novel") or 0)
    adapting = [at for at, moment in zip(visits.tolist(), history.texts("moment"), strict=True) if moment == "adapted"]
    before = np.searchsorted(np.unique(adapting), visits, side="right")
    return np.asarray(before * float(clients * each))


def _check_end(columns: Mapping[str, np.ndarray], visits: np.ndarray, record: Record, later: bool) -> Iterator[str]:
    """``run.json``'s costs are those of the last evaluation, and what was done after it."""
    if record.status != "finished":
        return
    last = int(visits.argmax())
    for name, spent in columns.items():
        own = record.costs.get(name)
        more = later and name in AFTERWARDS
        if own is None or own < spent[last] - 1e-6 or (not more and differ(np.asarray(own), spent[last])):
            yield f"costs.{name} is {shown(own)} in run.json and {written(spent[last])} at the end of history.csv"
