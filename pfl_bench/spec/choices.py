"""Hyper-parameters that were chosen apart from a suite's file: what ``tune`` and ``analyse transfer`` write."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pfl_bench.errors import PLUG_IN, RequestError, one_line, shown, unknown
from pfl_bench.files import read_text

from .suite import Overrides, Suite, check_globs, chosen_of
from .tables import check_chosen

OPTION = "--tuned"


@dataclass(frozen=True)
class Choices:
    """``everywhere`` and ``at``: as a suite's ``hyperparameters`` and ``hyperparameters_at``; ``file``: where they
    stand."""

    file: str
    everywhere: Overrides
    at: Mapping[str, Overrides]

    def of(self, method: str, scenario: str) -> dict[str, Any]:
        """The hyper-parameters of a method in the scenario with this id."""
        return chosen_of(method, scenario, self.everywhere, self.at)

    def methods(self) -> set[str]:
        """Those that it says something about, whether they take part or not."""
        return {*self.everywhere, *(name for by_method in self.at.values() for name in by_method)}


def read_choices(path: Path, suite: Suite, methods: Sequence[str], known: Sequence[str]) -> Choices:
    """Read a file of choices; RequestError for a file that is none, or says nothing of the suite or of ``methods``.

    ``known``: the names of all methods there are. Values are checked by ``run.check_choices``.
    """
    where = f"{OPTION}: {path}"
    text = read_text(path, f"{OPTION} file")
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise RequestError(f"{where} is not TOML: {one_line(error)}") from error
    for key, value in table.items():
        if key not in ("hyperparameters", "hyperparameters_at"):
            raise RequestError(
                f"{where}: {shown(key)} is no part of such a file, which has tables [hyperparameters] or "
                '[hyperparameters_at."SCENARIO"], as tune and analyse transfer write them'
            )
        if not isinstance(value, dict):
            raise RequestError(f"{where}: {key}={shown(value)} is of the wrong type; it must be a table")
    check_chosen(table, where)
    read = Choices(str(path), table.get("hyperparameters", {}), table.get("hyperparameters_at", {}))
    check_globs(read.at, suite.scenarios, f"{where}, hyperparameters_at")
    for name in sorted(read.methods() - set(known)):
        raise unknown(f"method in {where}", name, known, also=PLUG_IN)
    if read.methods().isdisjoint(methods):
        raise RequestError(f"{where} has nothing for the methods that take part ({', '.join(methods)})")
    return read


def chosen_apart(choices: Sequence[Choices], method: str, scenario: str) -> dict[str, Any]:
    """What the files say of a method in the scenario with this id; later ones win."""
    found: dict[str, Any] = {}
    for each in choices:
        found |= each.of(method, scenario)
    return found
