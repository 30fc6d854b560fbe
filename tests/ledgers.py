"""Ledgers written by hand, for everything that reads finished runs."""

from pathlib import Path

import numpy as np

from pfl_bench.results.ledger import Ledger
from pfl_bench.spec.identity import digest, run_id

COSTS = {"bytes_down": 2_000_000, "bytes_up": 1_000_000, "local_steps": 500, "samples": 4000, "adapt_steps": 0,
         "train_seconds": 1.5, "eval_seconds": 0.5}  # fmt: skip
VISITS = (30, 60, 100)


def record(method="fedavg", seed=0, accuracy=50.0, status="finished", config=None, scenario="sc-v1", **changes):
    """A ``run.json`` as the runner writes it, but for ``visits`` among the scores: no table beside it is compared."""
    best = {"accuracy": accuracy, "client_mean": accuracy, "client_std": 1.0, "worst_decile": max(0.0, accuracy - 10),
            "client_min": 5.0, "loss": 0.5, "validation_accuracy": 60.0}  # fmt: skip
    last = {"accuracy": max(0.0, accuracy - 1)}
    return {
        "suite": "s",
        "method": method,
        "config": config or {"lr": 0.1},
        "config_hash": digest([method, changes.get("config_identity", config or {"lr": 0.1})])[:12],
        "seed": seed,
        "status": status,
        "reason": "",
        "scenario": {"id": scenario, "visits": 100, "local_steps": 5, "budget_scale": 0.1, "precision": "fp32"},
        "partition_sha256": f"{seed:064x}",
        "official_moment": "global",
        "summary": {"global": {"best": best, "last": last}} if status == "finished" else {},
        "costs": COSTS,
        "peak_memory_bytes": 10,
        "git_commit": "c0ffee",
        "time": "2026-11-24T06:00:00+00:00",
        **changes,
    }


def id_of(run: dict) -> str:
    """The id of a run with this ``run.json``: what it asks for, hashed."""
    return run_id(run["method"], run.get("config_identity", run["config"]), run["scenario"], run["seed"])


def save(ledger: Ledger, run: dict, **more) -> Path:
    """Save a run under its id; its folder."""
    ledger.save(id_of(run), run, **more)
    return ledger.runs / id_of(run)


def folder_with(folder: Path, *records: dict) -> Path:
    """Records alone."""
    ledger = Ledger(folder)
    with ledger.lock():
        for one in records:
            save(ledger, one)
    return folder


def history_rows(accuracy: float, visits=VISITS) -> list[dict]:
    """Evaluations on both splits that end at an accuracy."""
    return [
        {"visits": v, "round": v, "moment": "global", "split": split, "accuracy": accuracy * v / visits[-1],
         **{name: type(value)(value * v / visits[-1]) for name, value in COSTS.items()}}
        for v in visits
        for split in ("validation", "test")
    ]  # fmt: skip


def client_rows(correct: list[int], samples: int = 20) -> list[dict]:
    """A row per client at the official moment and the selected evaluation."""
    return [
        {"moment": "global", "selection": "best", "client": client, "train_samples": 100, "test_samples": samples,
         "test_correct": n, "test_accuracy": 100 * n / samples}
        for client, n in enumerate(correct)
    ]  # fmt: skip


def full_folder(
    folder: Path, methods=("fedavg", "local", "ditto"), scenarios=("sc-v1",), seeds=8, clients=6, novel=False
) -> Path:
    """Every table that a run can leave: methods differ by five points, clients and seeds by noise."""
    rng = np.random.default_rng(0)
    ledger = Ledger(folder)
    with ledger.lock():
        for scenario in scenarios:
            for k, method in enumerate(methods):
                for seed in range(seeds):
                    correct = np.clip(rng.normal(8 + 2 * k, 2, clients).round(), 0, 20).astype(int)
                    accuracy = 100 * correct.sum() / (20 * clients)
                    tables = {"clients": client_rows(correct.tolist())}
                    if novel:
                        tables["novel"] = [
                            {"client": c, "samples": samples, "test_samples": 20, "test_correct": 10 - c,
                             "test_accuracy": 50 - 5 * c, "tv_distance": 0.1 * c}
                            for c in range(3) for samples in (5, "all")
                        ]  # fmt: skip
                    run = record(method, seed, float(accuracy), scenario=scenario)
                    run["summary"]["global"]["best"] |= {"visits": VISITS[-1], "validation_accuracy": float(accuracy)}
                    ledger.save(id_of(run), run, history=history_rows(accuracy), tables=tables)
        holdings = [
            {"client": c, "novel": 0, "group": "", "label": label, "train": 10 * c + label, "validation": 1, "test": 1}
            for c in range(clients) for label in range(3)
        ]  # fmt: skip
        ledger.save_partition(f"{0:064x}", holdings)
    return folder
