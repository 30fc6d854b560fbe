"""The results frame: one row per run, read from the ledger's folders."""

import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from .ledger import RUN, SCHEMA
from .order import by_scenario

ACCURACIES = (
    "accuracy",
    "client_mean",
    "client_std",
    "worst_decile",
    "client_min",
    "loss",
    "validation_accuracy",
)
COSTS = (
    "bytes_down", "bytes_up", "local_steps", "samples", "adapt_steps", "train_seconds", "eval_seconds",
)  # fmt: skip
COLUMNS = [
    "run_id", "suite", "scenario", "method", "config_hash", "seed", "status", "reason", "moment",
    "visits", "local_steps_per_visit", "budget_scale",
    *ACCURACIES, "best_visits", "last_accuracy", "global_accuracy", "received_accuracy", "adapted_accuracy",
    *COSTS, "seconds", "peak_memory_bytes", "client_model_size",
    "config", "scenario_hash", "partition_sha256", "data_sha256", "method_source_sha256", "git_commit",
    "backend", "device", "precision", "python", "torch", "cpu", "gpu", "time",
]  # fmt: skip


STATUSES = ("finished", "failed", "diverged", "skipped", "unfinished")
FIGURES = (
    "seed", "visits", "local_steps_per_visit", "budget_scale", *ACCURACIES, "best_visits", "last_accuracy",
    "global_accuracy", "received_accuracy", "adapted_accuracy", *COSTS, "seconds", "peak_memory_bytes",
    "client_model_size",
)  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """Something in a results folder that was left out, and why."""

    where: str
    why: str


def read_runs(folder: Path) -> pd.DataFrame:
    """All readable runs below ``<folder>/runs``, finished or not, in the order of scenario, method and seed.

    Accuracies are in percent on test data, at the evaluation with the best validation accuracy of the method's
    official moment; ``last_accuracy`` is at the end of the budget. Times in seconds, traffic in bytes.
    """
    return scan_runs(folder)[0]


def scan_runs(folder: Path) -> tuple[pd.DataFrame, list[Problem]]:
    """``read_runs``, and what could not be read: damaged, foreign, or of another version."""
    rows: list[dict[str, Any]] = []
    problems: list[Problem] = []
    for place in sorted(p for p in (folder / "runs").glob("*") if not p.name.startswith(".")):
        found = _row(place)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            rows.append(found)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return by_scenario(frame, "method", "config_hash", "seed"), problems


def _row(folder: Path) -> dict[str, Any] | Problem:
    where = f"runs/{folder.name}"
    try:
        record = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except OSError:
        return Problem(where, f"there is no {RUN} in it")
    except ValueError:
        return Problem(where, f"{RUN} is not JSON, or was cut off")
    if not isinstance(record, dict) or record.get("schema") != SCHEMA:
        version = record.get("schema") if isinstance(record, dict) else None
        return Problem(where, f"{RUN} has schema {version!r}; this version reads {SCHEMA}")
    try:
        row = _flatten(folder.name, record)
        row |= {name: _number(row[name]) for name in FIGURES}
        row["seed"], row["visits"] = int(row["seed"]), int(row["visits"])
    except KeyError as error:
        return Problem(where, f"{RUN} lacks the field {error}")
    except (TypeError, ValueError, AttributeError, OverflowError):
        return Problem(where, f"{RUN} has a field of the wrong type")
    if row["status"] not in STATUSES:
        return Problem(where, f"its status {row['status']!r} is none of {', '.join(STATUSES)}")
    if row["status"] == "finished" and row["accuracy"] is None:
        return Problem(where, "it is finished but has no accuracy")
    return row


def _number(value: Any) -> int | float | None:
    """A figure as it was written; None for none and for NaN or infinity, which no figure may be."""
    if value is None or not math.isfinite(number := float(value)):
        return None
    return value if isinstance(value, int) else number


def _flatten(run_id: str, record: dict[str, Any]) -> dict[str, Any]:
    scenario, summary = record["scenario"], record.get("summary") or {}
    moment = record.get("official_moment")
    official = summary.get(moment) or {}
    best, last, costs = official.get("best") or {}, official.get("last") or {}, record.get("costs") or {}
    versions, hardware = record.get("versions") or {}, record.get("hardware") or {}
    row: dict[str, Any] = {
        "run_id": run_id,
        "suite": record.get("suite"),
        "scenario": str(scenario["id"]),
        "method": str(record["method"]),
        "config_hash": record["config_hash"],
        "seed": record["seed"],
        "status": record["status"],
        "reason": record.get("reason") or "",
        "moment": moment,
        "visits": scenario["visits"],
        "local_steps_per_visit": scenario["local_steps"],
        "budget_scale": scenario["budget_scale"],
        "best_visits": best.get("visits"),
        "last_accuracy": last.get("accuracy"),
        "seconds": costs.get("train_seconds", 0) + costs.get("eval_seconds", 0) if costs else None,
        "config": json.dumps(record.get("config", {}), sort_keys=True),
        "scenario_hash": hashlib.sha256(json.dumps(scenario, sort_keys=True).encode()).hexdigest()[:12],
        "precision": scenario["precision"],
        "python": versions.get("python"),
        "torch": versions.get("torch"),
        "cpu": hardware.get("cpu"),
        "gpu": hardware.get("gpu"),
    }
    row |= {name: best.get(name) for name in ACCURACIES}
    row |= {f"{m}_accuracy": ((summary.get(m) or {}).get("best") or {}).get("accuracy") for m in
            ("global", "received", "adapted")}  # fmt: skip
    row |= {name: costs.get(name) for name in COSTS}
    return row | {name: record.get(name) for name in COLUMNS if name not in row}
