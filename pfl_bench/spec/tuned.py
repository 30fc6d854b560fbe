"""Where the hyper-parameters of an entry come from: who compares tuned methods with untuned ones must be told."""

from collections.abc import Sequence
from typing import Literal

from .choices import Choices, chosen_apart
from .scenario import Scenario, without_edition
from .suite import Overrides, Suite

Origin = Literal["suite", "request", "defaults"]
"""Chosen by the suite for the scenario, given with the request, or a method's defaults, which nobody chose for it."""

NAMED = 6


def origin_of(
    suite: Suite, method: str, scenario: str, overrides: Overrides, choices: Sequence[Choices] = ()
) -> Origin:  # fmt: skip
    """Where a method's hyper-parameters in the scenario with this id come from; the request's count before."""
    if overrides.get(method) or chosen_apart(choices, method, scenario):
        return "request"
    return "suite" if suite.hyperparameters_of(method, scenario) or suite.variants.get(method) else "defaults"


def untuned(
    suite: Suite, methods: Sequence[str], scenarios: Sequence[Scenario], overrides: Overrides,
    choices: Sequence[Choices] = (),
) -> list[str]:  # fmt: skip
    """A line per group of scenarios in which methods run with their defaults; none where none does."""
    groups: dict[tuple[str, ...], list[str]] = {}
    for scenario in scenarios:
        plain = tuple(name for name in methods if origin_of(suite, name, scenario.id, overrides, choices) == "defaults")
        if plain:
            groups.setdefault(plain, []).append(scenario.id)
    return [
        f"Untuned on {_listed(ids)}: {_listed(plain)} with default hyper-parameters"
        + ("" if len(plain) == len(methods) else ", beside methods with chosen ones")
        for plain, ids in groups.items()
    ]


def dropped(scenarios: Sequence[Scenario], methods: Sequence[str], suites: Sequence[Suite]) -> list[str]:
    """A line per suite that has hyper-parameters for scenarios which were asked for without it."""
    lines = []
    for suite in suites:
        own = {scenario.id for scenario in suite.scenarios}
        ids = [scenario.id for scenario in scenarios if without_edition(scenario.id) in own]
        chosen = [m for m in methods if any(origin_of(suite, m, id, {}) == "suite" for id in ids)]
        if chosen:
            lines.append(
                f"--scenarios without --suite leaves out what the suite {suite.name} has chosen for "
                f"{_listed(chosen)} on {_listed(ids)}; add --suite {suite.name} to use it"
            )
    return lines


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
