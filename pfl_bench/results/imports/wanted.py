"""What the user says of files with others' results, and the figure that several runs make."""

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .figures import LONGEST, Figure

UNITS: Mapping[str, float] = {"percent": 1.0, "fraction": 100.0}
PICKS: Mapping[str, Callable[[np.ndarray], float]] = {"best": np.max, "last": lambda values: values[-1]}
"""Which of a run's evaluations counts. PFLlib itself reports the best one, which is chosen on test data."""

THEIR_NAMES = {"peravg": "per_fedavg"}
"""What others call methods of ours, without the marks that ``_bare`` takes away, where that is another word."""


@dataclass(frozen=True)
class Wanted:
    """What the user said: the scenario and the method where the file does not say them (or says them in other words),
    a CSV file's ``columns`` by what they are, the unit of its accuracies, which evaluation of a run counts, and the
    source's name. ``methods``: names of ours, for which those of others are taken where they mean the same."""

    scenario: str | None = None
    method: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    unit: str = "percent"
    pick: str = "best"
    source: str | None = None
    methods: tuple[str, ...] = ()

    def called(self, name: str) -> str:
        """A method's name here: ours, if it is one of ours in other spelling."""
        ours = {_bare(own): own for own in self.methods}
        return ours.get(_bare(THEIR_NAMES.get(_bare(name), name)), name)


def _bare(name: str) -> str:
    return re.sub("[^a-z0-9]", "", name.lower())


def over_runs(
    scenario: str, method: str, values: np.ndarray, source: str, what: str, files: Sequence[Path]
) -> Figure:  # fmt: skip
    """The mean and spread of accuracies in percent, one per run."""
    std = float(values.std(ddof=1)) if len(values) > 1 else None
    return Figure(scenario, method, float(values.mean()), std, len(values), source, what, hashes(files))


def hashes(files: Sequence[Path]) -> dict[str, str]:
    """SHA-256 of files by their names."""
    return {path.name[:LONGEST]: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
