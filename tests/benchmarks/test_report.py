"""A big results folder: ten thousand runs with a hundred clients each, read, judged and rendered."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pfl_bench.results.ledger import Ledger
from tests.ledgers import client_rows, history_rows, record, save

from .compare import report

METHODS, SCENARIOS, SEEDS, CLIENTS = 20, 10, 50, 100
RENDER = """
import sys, time
from pathlib import Path
started = time.perf_counter()
from pfl_bench.results.publish import publish
publish(Path(sys.argv[1]), ("csv", "md", "tex", "html"))
seconds = time.perf_counter() - started
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) * 1024)
"""
"""Not ``getrusage``: its maximum is inherited from the process that started this one."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    rng, ledger = np.random.default_rng(0), Ledger(tmp_path_factory.mktemp("big") / "suite")
    visits = tuple(range(100, 3100, 100))
    with ledger.lock():
        for scenario in range(SCENARIOS):
            for method in range(METHODS):
                for seed in range(SEEDS):
                    correct = np.clip(rng.normal(8 + 0.2 * method, 2, CLIENTS).round(), 0, 20).astype(int)
                    accuracy = float(100 * correct.sum() / (20 * CLIENTS))
                    run = record(f"method{method:02}", seed, accuracy, scenario=f"scenario{scenario}-v1")
                    run["summary"]["global"]["best"] |= {"visits": visits[-1], "validation_accuracy": accuracy}
                    save(
                        ledger,
                        run,
                        history=history_rows(accuracy, visits),
                        tables={"clients": client_rows(correct.tolist())},
                    )
    return ledger.folder


@pytest.mark.benchmark(group="report of 10,000 runs x 100 clients")
def test_ten_thousand_runs(benchmark, capsys, folder):
    def render() -> tuple[float, float]:
        command = [sys.executable, "-c", RENDER, str(folder)]
        words = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
        return float(words[0]), float(words[1])

    seconds, peak = benchmark.pedantic(render, rounds=1)
    size = (folder / "leaderboard.html").stat().st_size
    figures = {"seconds": seconds, "peak GB": peak / 1e9, "page MB": size / 1e6}
    report(benchmark, capsys, "10,000 runs", figures)
