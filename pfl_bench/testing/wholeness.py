"""Is a folder all that its suite's board asks of an entry? Nothing is wrong with a part; it is no submission yet."""

from collections.abc import Iterator, Sequence

from pfl_bench.results import shipped
from pfl_bench.results.record import Record
from pfl_bench.spec.scenario import without_edition
from pfl_bench.spec.suite import Suite
from pfl_bench.text import listed

MOST = 0.5
"""Seeds that this share of the published entries has in a scenario are asked there, beside the suite's own."""


def lacks(records: Sequence[Record], suite: Suite) -> Iterator[str]:
    """What keeps the runs from being a whole submission to the suite, a line each method and kind.

    Asked of a method: a run in each scenario, as the suite has it, at each of ``board_seeds``.
    """
    by_scenario = board_seeds(suite)
    asked = {(scenario, seed) for scenario, seeds in by_scenario.items() for seed in seeds}
    for method in sorted({record.method for record in records}):
        own = {(record.scenario_id, record.seed) for record in records if record.method == method}
        editions = sorted({scenario for scenario, _ in own if scenario != without_edition(scenario)})
        if editions:
            yield f"{method} has runs at another budget or precision ({listed(editions)})"
        others = sorted({seed for scenario, seed in own - asked if scenario not in editions})
        if others:
            yield f"{method} has runs at seeds that are not the board's ({listed(others)})"
        missing: dict[tuple[int, ...], list[str]] = {}
        for scenario, seeds in by_scenario.items():
            if left := tuple(seed for seed in seeds if (scenario, seed) not in own):
                missing.setdefault(left, []).append(scenario)
        if missing:
            left_out = "; ".join(f"{listed(names)} at {_seeds(seeds)}" for seeds, names in missing.items())
            yield f"{method} has no run of {left_out}"


def board_seeds(suite: Suite) -> dict[str, list[int]]:
    """By scenario, the seeds that the suite has or most of its published entries have."""
    seeds = {scenario.id: set(suite.seeds_of(scenario.id)) for scenario in suite.scenarios}
    if suite.name in shipped.names():
        runs = shipped.frames(suite.name)["runs"]
        for scenario, own in runs.groupby("scenario"):
            count = own.groupby("seed")["method"].nunique()
            seeds.get(str(scenario), set()).update(int(s) for s in count[count >= MOST * own["method"].nunique()].index)
    return {scenario: sorted(own) for scenario, own in seeds.items()}


def _seeds(seeds: Sequence[int]) -> str:
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {listed(seeds)}"
