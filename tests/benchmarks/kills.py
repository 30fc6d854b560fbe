"""Kill drivers at random moments, go on with the same command, and compare: ``python -m tests.benchmarks.kills``.

Not part of the suite: 30 kills take some minutes. A tiny suite is started in a folder of its own, its driver killed
after a random time (by SIGINT, two of them within 50 ms, SIGTERM, SIGHUP or SIGKILL), perhaps more than once, and then
the same command finishes it. It must exit with 0, repeat no finished run, and write the table and the clients' scores
of an undisturbed suite, bit for bit. A signal that can be heard must end the driver with its status, how to go on, and
no traceback. With ``--shared`` two drivers share a folder; one of them, or both, are killed and started again, and no
finished run may be computed again by anybody. Prints what was tried and what was wrong; exits with 1 if anything was.
A driver that was faster than its signal does not count. Leave the checkout alone meanwhile: a table says where its runs
are of several commits or of edited code.
"""

import argparse
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import pandas as pd

SUITE = """
name = "kills"
methods = "fedavg,pfedhn,ditto,fedmedian"
seeds = "0-1"

[[scenario]]
id = "synthetic-classes2-n6-v1"
dataset = "synthetic:classes=3,n=180"
partition = { rule = "classes", classes = 2 }
clients = 6
model = "mlp"
visits = 200
local_steps = 10
batch_size = 8
eval_every = 20
"""
PLUGIN = Path(__file__).parents[1] / "plugins" / "fedmedian.py"
"""A method that is not shipped: its runs have a process of their own."""

DRIVER = """
from pfl_bench.__main__ import main
from pfl_bench.spec.options import Options
device, backend, _, *others = Options.__init__.__defaults__
Options.__init__.__defaults__ = (device, backend, 0.3, *others)
main()
"""
"""The program, but with checkpoints as often as so short runs need them."""

WAYS = ["INT", "INT+INT", "TERM", "HUP", "KILL"]
STATUS = {"INT": 130, "INT+INT": 130, "TERM": 143, "HUP": 129, "KILL": -9}


def start(folder: Path, executor: str) -> subprocess.Popen:
    """A driver on the suite in the folder."""
    more = ["--workers", "2"] if executor == "ray" else []
    arguments = ["run", "--suite", "kills.toml", "--plugin", str(PLUGIN), "--executor", executor, *more]
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, *arguments], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip


def finished(folder: Path) -> dict[str, int]:
    """The finished runs, and when each was written."""
    records = (folder / "results/kills/runs").glob("[!.]*/run.json")
    return {p.parent.name: p.stat().st_mtime_ns for p in records if '"status": "finished"' in p.read_text()}


def begun(folder: Path) -> int:
    """How many runs have a checkpoint."""
    return len(list((folder / "results/kills/runs").glob("*/checkpoint.bin")))


def scores(folder: Path) -> dict[str, list[str]]:
    """What must be equal bit by bit: the leaderboard without times, by column, and every run's clients."""
    home = folder / "results/kills"
    table = pd.read_csv(home / "leaderboard.csv", dtype=str, keep_default_na=False)
    kept = [name for name in map(str, table) if not re.search("second|hour|memory|time", name)]
    clients = {p.parent.name: p.read_text().splitlines() for p in sorted(home.glob("runs/[!.]*/clients.csv"))}
    return {f"column {name}": list(table[name]) for name in kept} | clients


def differing(found: dict[str, list[str]], expected: dict[str, list[str]]) -> list[str]:
    """Which columns of the table, or runs, are not those of the undisturbed suite."""
    names = [name for name in found | expected if found.get(name) != expected.get(name)]
    return [f"other scores or another table: {', '.join(names)}"] if names else []


def kill(folder: Path, executor: str, way: str, wait: float) -> list[str] | None:
    """Start a driver, kill it after ``wait`` seconds. What was wrong with its end; None if it was through before."""
    driver = start(folder, executor)
    try:
        output, _ = driver.communicate(timeout=wait)
    except subprocess.TimeoutExpired:
        for position, name in enumerate(way.split("+")):
            time.sleep(0.04 if position else 0)
            driver.send_signal(getattr(signal, f"SIG{name}"))
        output, _ = driver.communicate(timeout=120)
    if driver.returncode == 0:
        return None
    wrong = [] if driver.returncode == STATUS[way] else [f"status {driver.returncode} after {way}"]
    wrong += ["a traceback"] if "Traceback" in output else []
    wrong += [] if "he same command" in output or way == "KILL" else ["not said how to go on"]
    return [f"{one}: {output[-1500:]}" for one in wrong]


def go_on(folder: Path, executor: str, expected: dict[str, list[str]]) -> list[str]:
    """Let the same command finish; what was wrong."""
    before = finished(folder)
    driver = start(folder, executor)
    output, _ = driver.communicate(timeout=600)
    after = finished(folder)
    wrong = [] if driver.returncode == 0 else [f"going on ended with {driver.returncode}: {output[-1500:]}"]
    repeated = [run for run, stamp in before.items() if after.get(run) != stamp]
    wrong += [f"repeated {repeated}"] if repeated else []
    wrong += [] if wrong else differing(scores(folder), expected)
    left = [p.name for p in (folder / "results/kills/runs").glob(".*")]
    return wrong + ([f"left {left}"] if left else [])


def share(folder: Path, draw: random.Random, length: float, expected: dict[str, list[str]], kills: int) -> list[str]:
    """Two drivers at once, killed and started again at random; what was wrong in the end."""
    drivers, wrong = [start(folder, "serial") for _ in range(2)], []
    seen: dict[str, int] = {}
    for _ in range(kills):
        time.sleep(draw.uniform(0.1, 0.6) * length)
        for place in draw.choice([[0], [1], [0, 1]]):
            way = draw.choice([name for name in WAYS if "+" not in name])
            drivers[place].send_signal(getattr(signal, f"SIG{way}"))
            output, _ = drivers[place].communicate(timeout=120)
            wrong += ["a traceback: " + output[-1500:]] if "Traceback" in output else []
            drivers[place] = start(folder, "serial")
        now = finished(folder)
        wrong += [f"repeated {run}" for run, stamp in seen.items() if now.get(run) != stamp]
        seen |= now
    for driver in drivers:
        output, _ = driver.communicate(timeout=600)
        wrong += [] if driver.returncode == 0 else [f"ended with {driver.returncode}: {output[-1500:]}"]
    now = finished(folder)
    wrong += [f"repeated {run}" for run, stamp in seen.items() if now.get(run) != stamp]
    wrong += [] if wrong else differing(scores(folder), expected)
    left = [p.name for p in [*(folder / "results/kills/runs").glob(".*"), *(folder / "results/kills").glob(".holds")]]
    return wrong + ([f"left {left}"] if left else [])


def prepare(folder: Path) -> Path:
    """A folder with the suite in it."""
    folder.mkdir()
    (folder / "kills.toml").write_text(SUITE)
    return folder


def main() -> int:
    """Try, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--serial", type=int, default=20)
    parser.add_argument("--ray", type=int, default=10)
    parser.add_argument("--shared", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw = random.Random(asked.seed)
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as place:
        whole = prepare(Path(place) / "undisturbed")
        length: dict[str, float] = {}
        for executor, times in (("serial", 1), ("ray", asked.ray)):
            began = time.monotonic()
            if times:
                trial = whole if executor == "serial" else prepare(Path(place) / "by-ray")
                assert start(trial, executor).wait(600) == 0
                length[executor] = time.monotonic() - began
        expected = scores(whole)
        for executor, times in (("serial", asked.serial), ("ray", asked.ray)):
            done = tried = 0
            while done < times:
                tried += 1
                folder, wrong = prepare(Path(place) / f"{executor}-{tried}"), []
                for _ in range(min(draw.choice([1, 1, 2, 3]), times - done)):
                    way = WAYS[done % len(WAYS)]
                    found = kill(folder, executor, way, draw.uniform(0.1, 1.0) * length[executor])
                    if found is None:
                        length[executor] *= 0.9
                        break
                    wrong += found
                    done += 1
                    counts[f"{executor} {way}"] += 1
                    print(f"{folder.name} {way}: {len(finished(folder))} finished, {begun(folder)} begun", flush=True)
                    counts["with a checkpoint"] += begun(folder) > 0
                wrong += go_on(folder, executor, expected)
                counts["wrong"] += len(wrong)
                for one in wrong:
                    print(f"WRONG ({folder.name}): {one}", flush=True)
        done = 0
        while done < asked.shared:
            kills = min(draw.choice([1, 2, 3]), asked.shared - done)
            folder = prepare(Path(place) / f"shared-{done}")
            wrong = share(folder, draw, length["serial"], expected, kills)
            done += kills
            counts["shared"] += kills
            counts["wrong"] += len(wrong)
            print(f"{folder.name}: {kills} times killed and restarted, {len(finished(folder))} finished", flush=True)
            for one in wrong:
                print(f"WRONG ({folder.name}): {one}", flush=True)
    print(dict(counts))
    return 1 if counts["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
