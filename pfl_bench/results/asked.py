"""What the scenarios of runs ask for: as a run recorded it, or, without its record, as the package has it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from pfl_bench.errors import RequestError
from pfl_bench.spec.identity import digest
from pfl_bench.spec.scenario import Scenario, at_edition
from pfl_bench.spec.suite import shipped_scenarios

from .record import find_record


def asked_for(runs: pd.DataFrame, folder: Path | None) -> dict[str, Mapping[str, Any]]:
    """By scenario, as the runs name it, what it asks for: a scenario's fields; nothing of one that is unknown.

    ``folder``: the suite's, where the runs are recorded.
    """
    firsts = runs.groupby("scenario", sort=False).first()
    return {
        str(name): _recorded(folder, str(row["run_id"])) or _shipped(str(name), row) for name, row in firsts.iterrows()
    }


def _recorded(folder: Path | None, run_id: str) -> Mapping[str, Any]:
    record = None if folder is None else find_record(folder / "runs" / run_id)
    return {} if record is None else record.scenario


def _shipped(name: str, run: "pd.Series[Any]") -> Mapping[str, Any]:
    """The shipped scenario of that name, if it is the run's to the last field."""
    plain = re.split("[@+ ]", name)[0]
    for scenario in shipped_scenarios():
        if scenario.id == plain:
            edition = _edition(scenario, float(run["budget_scale"]), str(run["precision"]))
            if edition is not None and digest(edition.identity()).startswith(str(run["scenario_hash"])):
                return edition.identity()
    return {}


def _edition(scenario: Scenario, budget_scale: float, precision: str) -> Scenario | None:
    try:
        return at_edition([scenario], budget_scale / scenario.budget_scale, precision)[0]
    except RequestError:
        return None
