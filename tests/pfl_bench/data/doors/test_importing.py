"""What others made becomes a scenario that runs; what we exported runs to the same numbers."""

import json

import numpy as np
import pytest

from pfl_bench.data.doors import export_split, import_split
from pfl_bench.data.partition import Partition
from pfl_bench.data.store import load_dataset
from pfl_bench.spec.suite import load_suite

from .splits import made

RNG = np.random.default_rng(0)


def pfllib_folder(folder, sizes=(20, 30, 12), shape=(1, 6, 6)):
    for part, share in (("train", 1), ("test", 2)):
        (folder / part).mkdir(parents=True)
        for client, size in enumerate(sizes):
            data = {"x": RNG.normal(size=(size // share, *shape)).astype(np.float32), "y": np.arange(size // share) % 3}
            np.savez_compressed(folder / part / f"{client}.npz", data=data)


def test_a_folder_that_pfllib_made(tmp_path):
    pfllib_folder(tmp_path / "Cifar 10")
    found = import_split("pfllib", tmp_path / "Cifar 10", tmp_path / "out")
    (scenario,) = load_suite(str(found.suite)).scenarios
    assert not found.ours and scenario.id == "cifar-10-v1" and scenario.clients == 3 and scenario.batch_size == 10
    partition = Partition.load(tmp_path / "out" / "partition.npz")
    dataset = load_dataset(scenario.dataset)
    partition.check(dataset)
    assert partition.sha256() == scenario.partition.sha256 == found.split.partition.sha256()
    assert dataset.sha256 == load_dataset(f"pfllib:{tmp_path / 'Cifar 10'}").sha256
    assert [len(own) for own in partition.test] == [10, 15, 6], "their split"


def test_a_folder_that_leaf_made(tmp_path):
    for part, size in (("train", 12), ("test", 4)):
        (tmp_path / "leaf" / part).mkdir(parents=True)
        users = {f"u{i}": {"x": RNG.normal(size=(size, 5)).tolist(), "y": [j % 2 for j in range(size)]} for i in "ab"}
        text = json.dumps({"users": list(users), "num_samples": [size] * 2, "user_data": users})
        (tmp_path / "leaf" / part / "all.json").write_text(text)
    found = import_split("json", tmp_path / "leaf", tmp_path / "out")
    assert found.split.partition.clients == 2 and load_suite(str(found.suite)).scenarios[0].model == "mlp"


@pytest.mark.parametrize("form", ["pfllib", "fl-bench", "json"])
def test_what_was_exported_comes_back_in_the_form_that_runs(tmp_path, form):
    split = made("tokens", validation=True)
    export_split(split, form, tmp_path / "there")
    found = import_split(form, tmp_path / "there", tmp_path / "back")
    assert found.ours
    (scenario,) = load_suite(str(found.suite)).scenarios
    assert load_dataset(scenario.dataset).sha256 == split.dataset.sha256
    assert scenario.partition.sha256 == split.partition.sha256()


SHIFTED = """
name = "shifted"
[[scenario]]
id = "shifted-v1"
dataset = "digits"
partition = { rule = "classes", classes = 2 }
clients = 6
novel = 1
model = "logistic"
visits = 12
local_steps = 3
batch_size = 8
eval_every = 6
availability = { present = 0.7 }
[[scenario.shift]]
rule = "rotation"
groups = 2
"""


def clients_of(folder):
    (run,) = (folder / "runs").iterdir()
    return (run / "clients.csv").read_bytes(), json.loads((run / "run.json").read_text())


@pytest.mark.parametrize("shift", [True, False])
def test_a_run_on_an_export_has_the_numbers_of_a_run_on_the_source(cli, tmp_path, shift):
    text = SHIFTED if shift else SHIFTED.partition("[[scenario.shift]]")[0]
    (tmp_path / "shifted.toml").write_text(text)
    run = ("run", "--methods", "ditto", "--seeds", "3", "--executor", "serial", "--suite")
    assert cli(*run, "shifted.toml")[0] == 0
    status, out, error = cli("data", "export", "--suite", "shifted.toml", "--seeds", "3", "--to", "json")
    assert status == 0, error
    assert "6 clients, 1 of them novel" in out
    status, out, error = cli("data", "import", "json", "exported/shifted-v1-s3", "--out", "back")
    assert status == 0 and "Run it: pfl-bench run --suite back/suite.toml" in out, error
    assert cli(*run, "back/suite.toml", "--out", "results2")[0] == 0
    (first, before), (second, after) = (
        clients_of(tmp_path / "results/shifted"),
        clients_of(tmp_path / "results2/shifted-v1"),
    )
    assert first == second and len(first) > 100
    assert before["summary"] == after["summary"]
    assert (before["data_sha256"] == after["data_sha256"]) == (not shift)
    assert (before["partition_sha256"] == after["partition_sha256"]) == (not shift)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give a scenario's id, or --suite"),
        (("digits-classes2-n20-v2", "--suite", "quick"), "give a scenario's id, or --suite"),
        (("digits-classes2-n20-v2", "--scenarios", "digits*"), "--scenarios goes with --suite"),
        (("digits-classes2-n20-v3",), "unknown scenario"),
        (("--suite", "quik"), "unknown suite"),
        (("--suite", "quick", "--scenarios", "x*"), "unknown scenario"),
        (("digits-classes2-n20-v2", "--to", "leaf"), "unknown format 'leaf'"),
        (("digits-classes2-n20-v2", "--seeds", "1-0"), "--seeds"),
        (("digits-classes2-n20-v2", "--out", "taken"), "could not be written"),
        (("digits-classes2-n20-v2", "--out", "there"), "is there already"),
        (("digits-classes2-n20-v2", "--plugin", "none.py"), "none.py"),
    ],
)
def test_wrong_exports_are_one_line(cli, tmp_path, words, said):
    (tmp_path / "taken").write_text("a file")
    (tmp_path / "there" / "digits-classes2-n20-v2-s0").mkdir(parents=True)
    status, out, error = cli("data", "export", *words)
    assert status == 2 and error.startswith("error: ") and error.count("\n") == 1 and said in error, (out, error)
    assert not (tmp_path / "exported").exists() or not list((tmp_path / "exported").iterdir())
