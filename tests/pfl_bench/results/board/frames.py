"""Made-up frames of a board: entries whose figures are known, on scenarios that a test names."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from pfl_bench.results.board.basis import Basis, make_basis

ENTRIES = ("local", "fedavg", "fedavg_ft", "ditto", "fedper", "pfedhn")
LABEL_SKEW = {"partition": {"rule": "dirichlet", "alpha": 0.1}}
IID = {"partition": {"rule": "iid"}}

Mean = Callable[[str, int], float]
"""An entry's accuracy on the scenario of a number."""


def board(
    mean: Mean,
    definitions: Mapping[str, Mapping[str, Any]],
    held_out: tuple[str, ...] = (),
    entries: tuple[str, ...] = ENTRIES,
    seeds: int = 3,
    noise: float = 0.1,
    statuses: Mapping[tuple[str, str], str] | None = None,
) -> Basis:
    """A basis of runs with two clients each; ``statuses``: of cells (scenario, entry) that have no result."""
    rng, rows, clients = np.random.default_rng(0), [], []
    for position, scenario in enumerate(definitions):
        for entry in entries:
            for seed in range(seeds):
                status = (statuses or {}).get((scenario, entry), "finished")
                accuracy = mean(entry, position) + noise * rng.normal()
                run_id = f"{entry}-{scenario}-{seed}"
                rows.append(
                    {"run_id": run_id, "suite": "made-up", "scenario": scenario, "method": entry, "config_hash": entry,
                     "config": "{}", "seed": seed, "status": status,
                     "reason": "" if status == "finished" else "no text", "moment": _moment(entry),
                     "accuracy": accuracy if status == "finished" else None, "partition_sha256": f"{scenario}{seed}",
                     "candidates": 10, "bytes_down": 100.0 * (entry != "local"),
                     "local_steps": 2000.0 if entry == "ditto" else 1000.0,
                     "bytes_up": (200.0 if entry == "ditto" else 100.0) * (entry != "local"),
                     "adapt_steps": 2000.0 * (entry == "fedavg_ft"), "forward_samples": 0.0,
                     "adapt_forward_samples": 0.0, "state_floats": 7.0 * (entry in ("ditto", "fedper", "local"))}
                )  # fmt: skip
                clients += [
                    {"run_id": run_id, "scenario": scenario, "seed": seed, "client": client, "test_samples": 1000,
                     "test_correct": round(10 * accuracy) + (1 - 2 * client)}
                    for client in (0, 1)
                ]  # fmt: skip
    return make_basis(pd.DataFrame(rows), pd.DataFrame(clients), definitions, held_out)


def _moment(entry: str) -> str:
    return {"fedavg": "global", "fedavg_ft": "adapted"}.get(entry, "received")
