from pathlib import Path

import numpy as np

from pfl_bench.running.notes import notes_of
from pfl_bench.running.runner import make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import load_suite

SUITE = """
name = "mine"
methods = "local"
seeds = "0-2"

[[scenario]]
id = "mine-n4-v1"
dataset = "npz:mine.npz"
partition = { rule = "natural", min_samples = 3 }
clients = 4
model = "mlp"
visits = 4
local_steps = 1
batch_size = 8
eval_every = 4
"""


def test_notes_of_data_and_partitions_are_said_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 256, (202, 8, 8), dtype=np.uint8),
        "train_labels": np.arange(202) // 4 % 2 + 1,
    }
    arrays |= {
        "test_images": rng.integers(0, 256, (40, 8, 8), dtype=np.uint8),
        "test_labels": np.arange(40) // 4 % 2 + 1,
    }
    arrays |= {"train_groups": np.append(np.arange(200) % 4, [4, 4]), "test_groups": np.arange(40) % 4}
    arrays["train_labels"][:200:4] = 1  # writer 0 never sees the other class
    arrays["test_labels"][[0, 4]] = 2
    np.savez("mine.npz", **arrays)
    Path("my.toml").write_text(SUITE)
    suite = load_suite("my.toml")
    plan = make_plan("mine", plan_runs(["local"], suite.scenarios, [0, 1, 2], suite, {}), tmp_path, Options())
    data, untested, left_out, absent = notes_of(plan)
    assert data == "npz:mine.npz: labels from 1 to 2 are renumbered to 0 to 1, the 2 that occur"
    assert untested == "npz:mine.npz: 1 of 5 groups has no test sample: 4"
    assert left_out.startswith("mine-n4-v1, seed 0: 1 of 5 groups has fewer than 3 training samples")
    assert absent.startswith("mine-n4-v1, seed 0: 1 of 4 clients holds test samples (6 of 40) of classes they have no")
