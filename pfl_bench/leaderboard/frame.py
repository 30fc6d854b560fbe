"""The results frame: one row per run, read from the ledger's folders."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pandas as pd

from ..ledger import read_record

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


def read_runs(folder: Path) -> pd.DataFrame:
    """All readable runs below ``<folder>/runs``, finished or not, in the order of scenario, method and seed.

    Accuracies are in percent on test data, at the evaluation with the best validation accuracy of the method's
    official moment; ``last_accuracy`` is at the end of the budget. Times in seconds, traffic in bytes.
    """
    folders = sorted(p for p in (folder / "runs").glob("*") if not p.name.startswith("."))
    rows = [row for row in map(_row, folders) if row is not None]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.sort_values(["scenario", "method", "config_hash", "seed"], ignore_index=True)


def _row(folder: Path) -> dict[str, Any] | None:
    record = read_record(folder)
    if record is None:
        return None
    try:
        return _flatten(folder.name, record)
    except (KeyError, TypeError, AttributeError):  # a foreign or damaged record
        return None


def _flatten(run_id: str, record: dict[str, Any]) -> dict[str, Any]:
    scenario, summary = record["scenario"], record.get("summary") or {}
    moment = record.get("official_moment")
    official = summary.get(moment) or {}
    best, last, costs = official.get("best") or {}, official.get("last") or {}, record.get("costs") or {}
    versions, hardware = record.get("versions") or {}, record.get("hardware") or {}
    row: dict[str, Any] = {
        "run_id": run_id,
        "suite": record.get("suite"),
        "scenario": scenario["id"],
        "method": record["method"],
        "config_hash": record["config_hash"],
        "seed": int(record["seed"]),
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
