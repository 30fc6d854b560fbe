"""Is a folder all that its suite's board asks of an entry? Nothing is wrong with a part; it is no submission yet."""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from pfl_bench.results import shipped
from pfl_bench.results.record import FINAL
from pfl_bench.spec.scenario import without_edition
from pfl_bench.spec.suite import Suite
from pfl_bench.text import agreeing, listed

MOST = 0.5
"""Seeds that this share of the published entries has in a scenario are asked there, beside the suite's own."""

SEVERAL = ", with the hyper-parameters of its others there"


class Ended(NamedTuple):
    """A run that has ended: of what, where, and with which hyper-parameters."""

    method: str
    scenario: str
    seed: int
    config_hash: str


def ended(runs: pd.DataFrame) -> list[Ended]:
    """Of a results frame."""
    own = runs[runs["status"].isin(FINAL)]
    columns = (own[name].astype(kind) for name, kind in Ended.__annotations__.items())
    return [Ended(*row) for row in zip(*columns, strict=True)]


def lacks(runs: Iterable[Ended], suite: Suite) -> Iterator[str]:
    """What keeps the runs from being a whole submission to the suite, a line each method and kind.

    Asked of a method: in each scenario, as the suite has it, runs with the same hyper-parameters at each of
    ``board_seeds``. Of scenarios that the suite does not have nothing is said.
    """
    asked, by_method = board_seeds(suite), dict[str, set[Ended]]()
    for run in runs:
        by_method.setdefault(run.method, set()).add(run)
    for method, every in sorted(by_method.items()):
        own = {run for run in every if without_edition(run.scenario) in asked}
        editions = sorted({run.scenario for run in own if run.scenario not in asked})
        if editions:
            yield f"{method} has runs at another budget or precision ({listed(editions)})"
        beside = {name: {r.seed for r in own if r.scenario == name} - set(seeds) for name, seeds in asked.items()}
        if any(beside.values()):
            yield f"{method} has runs at seeds that are not the board's ({_places(beside)})"
        missing = {name: _missing(own, name, seeds) for name, seeds in asked.items()}
        if any(missing.values()):
            several = any(
                len({r.config_hash for r in own if r.scenario == name}) > 1 for name in missing if missing[name]
            )
            yield f"{method} has no run of {_places(missing)}" + (SEVERAL if several else "")


def board_seeds(suite: Suite) -> dict[str, list[int]]:
    """By scenario, the seeds that the suite has or most of its published entries have."""
    seeds = {scenario.id: set(suite.seeds_of(scenario.id)) for scenario in suite.scenarios}
    if suite.name in shipped.names():
        runs = shipped.frames(suite.name)["runs"]
        for scenario, own in runs.groupby("scenario"):
            count = own.groupby("seed")["method"].nunique()
            seeds.get(str(scenario), set()).update(int(s) for s in count[count >= MOST * own["method"].nunique()].index)
    return {scenario: sorted(own) for scenario, own in seeds.items()}


def _missing(own: Collection[Ended], scenario: str, seeds: Iterable[int]) -> set[int]:
    """The seeds that the hyper-parameters lack that have most of them."""
    by_config: dict[str, set[int]] = {}
    for run in own:
        if run.scenario == scenario:
            by_config.setdefault(run.config_hash, set()).add(run.seed)
    lacking = [set(seeds) - there for there in by_config.values()]
    return min(lacking, key=lambda own: (len(own), sorted(own)), default=set(seeds))


def _places(seeds: dict[str, set[int]]) -> str:
    """``a-v1 and b-v1 at seeds 3 and 4; c-v1 at seed 0``."""
    alike: dict[tuple[int, ...], list[str]] = {}
    for scenario, own in seeds.items():
        if own:
            alike.setdefault(tuple(sorted(own)), []).append(scenario)
    return "; ".join(
        f"{listed(names)} at {agreeing(len(own), 'seed', 'seeds')} {listed(own)}" for own, names in alike.items()
    )
