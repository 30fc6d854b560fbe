"""A finished run or a checkpoint is reused only for what it was computed on. Each of these was silent in version 1."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from pfl_bench.cli.told import say_standing
from pfl_bench.data.partition import Partition
from pfl_bench.engine import checkpoint
from pfl_bench.engine.events import Checkpoint, Failure
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.record import Record
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.provenance import Commit
from pfl_bench.running.reuse import Basis, mismatch, review, selection_of
from pfl_bench.running.runner import execute, make_plan
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import plan_runs
from pfl_bench.spec.suite import parse_suite
from tests import ledgers

SUITE = """
name = "t"
methods = "{method}"
seeds = "0"
[[scenario]]
id = "s-v1"
dataset = "npz:mine.npz"
partition = {partition}
clients = 4
model = "{model}"
visits = 10
local_steps = 3
batch_size = 8
eval_every = 5
"""


def write_data(path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.arange(120) % 3
    images = rng.integers(0, 256, (120, 6, 6), dtype=np.uint8)
    np.savez(path, train_images=images, train_labels=labels, test_images=images[:60], test_labels=labels[:60])


def write_suite(method="fedavg", partition='{ rule = "iid" }', model="mlp") -> None:
    Path("my.toml").write_text(SUITE.format(method=method, partition=partition, model=model))


@pytest.fixture
def run(cli, tmp_path):
    """Runs the suite in an empty folder; returns the record, the accuracies of the table, and what was said."""
    write_data(tmp_path / "mine.npz", 1)

    def once(*options: str):
        status, out, err = cli("run", "--suite", "my.toml", "--executor", "serial", "--out", "r", *options)
        assert status == 0, err + out
        (path,) = Path("r/t/runs").glob("*-s0-*")
        return json.loads((path / "run.json").read_text()), out

    return once


def assert_anew(before: dict, now: dict, out: str, what: str) -> None:
    """Computed again under the same id; the old run is beside, with the reason; the table has the new one alone."""
    assert now["id"] == before["id"]
    assert f"because {what} changed since: {now['id']}" in " ".join(out.split())
    (aside,) = Path("r/t/aside").iterdir()
    assert aside.name == f"{now['id']}.1"
    assert json.loads((aside / "run.json").read_text()) == before
    assert json.loads((aside / "aside.json").read_text()) == {"computed_on_other": what}
    assert len(pd.read_csv("r/t/runs.csv")) == 1


def test_the_same_is_reused(run):
    write_suite()
    first, _ = run()
    again, out = run()
    assert again == first and "1 of 1 run was finished before" in out
    assert not Path("r/t/aside").exists()


def test_a_data_file_that_was_changed_in_place(run):
    write_suite()
    before, _ = run()
    write_data(Path("mine.npz"), 2)
    now, out = run()
    assert_anew(before, now, out, "the data")
    assert now["data_sha256"] != before["data_sha256"]


def test_the_same_relative_path_in_another_folder(run, monkeypatch, tmp_path):
    write_suite()
    before, _ = run("--out", str(tmp_path / "r"))
    (tmp_path / "elsewhere").mkdir()
    write_data(tmp_path / "elsewhere" / "mine.npz", 3)
    suite = Path("my.toml").read_text()
    monkeypatch.chdir(tmp_path / "elsewhere")
    Path("my.toml").write_text(suite)
    Path("r").symlink_to(tmp_path / "r")
    now, out = run("--out", str(tmp_path / "r"))
    assert_anew(before, now, out, "the data")


def test_a_partition_file_that_was_changed(run):
    def split(seed):
        order = np.random.default_rng(seed).permutation(120)
        train = tuple(np.sort(order[20 * c : 20 * c + 15]) for c in range(4))
        validation = tuple(np.sort(order[20 * c + 15 : 20 * c + 20]) for c in range(4))
        test = tuple(np.arange(15 * c, 15 * c + 15) for c in range(4))
        Partition(train, validation, test).save(Path("split.npz"))

    split(1)
    write_suite(partition='{ file = "split.npz" }')
    before, _ = run()
    split(2)
    now, out = run()
    assert_anew(before, now, out, "the split")


def test_a_shift_whose_text_was_changed(run, tmp_path, fresh_plugins):
    text = """
from pfl_bench.api import ShiftConfig, register_shift

def darker(values, rng):
    return values // {factor}

@register_shift("darkness", config=ShiftConfig, of="inputs")
def darkness(config, context, groups, rng):
    return [darker] * groups
"""
    Path("shift.py").write_text(text.format(factor=2))
    write_suite()
    Path("my.toml").write_text(Path("my.toml").read_text() + 'shift = [{ rule = "darkness" }]\n')
    before, _ = run("--plugin", "shift.py")
    assert before["scenario"]["shift"] == [{"rule": "darkness"}] and "shift:shift.py" in before["sources"]
    fresh_plugins()
    Path("shift.py").write_text(text.format(factor=4))
    now, out = run("--plugin", "shift.py")
    assert_anew(before, now, out, "the shift's source (shift.py)")


MODEL = """
from torch import nn
from pfl_bench.api import register_model

@register_model("mine")
def mine(shape, classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(36, {width}), nn.ReLU(), nn.Linear({width}, classes))
"""


def test_a_client_model_plug_in_that_was_changed(run, clean_registries, fresh_plugins):
    write_suite(model="mine")
    Path("net.py").write_text(MODEL.format(width=8))
    before, _ = run("--plugin", "net.py")
    fresh_plugins()
    Path("net.py").write_text(MODEL.format(width=9))
    now, out = run("--plugin", "net.py")
    assert_anew(before, now, out, "the client model's source (net.py)")


METHOD = """
import sys
sys.path.insert(0, ".")
from {helper} import RATE
from pfl_bench.api import LocalSgdConfig, Method, Sgd, State, register_method

@register_method("mine", paper="none")
class Mine(Method):
    moment = "global"
    Config = LocalSgdConfig

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        state.server = fed.train_and_average(state.server, cohort, Sgd(RATE))
        return state

    def global_params(self, fed, state):
        return state.server
"""


def test_a_file_that_a_method_imports_from_beside_it(run, fresh_plugins):
    write_suite(method="mine")
    helper = "helper_of_a_reuse_test"
    Path("mine.py").write_text(METHOD.format(helper=helper))
    Path(f"{helper}.py").write_text("RATE = 0.1\n")
    before, _ = run("--plugin", "mine.py")
    fresh_plugins(helper)
    Path(f"{helper}.py").write_text("RATE = 0.2\n")
    now, out = run("--plugin", "mine.py")
    assert_anew(before, now, out, f"a helper of the method ({helper}.py)")


CALLS = {
    "import_module": "import importlib\nRATE = importlib.import_module('{helper}').RATE",
    "__import__": "RATE = __import__('{helper}').RATE",
    "a name that is made up": "import importlib\nn = '{helper}'\nRATE = importlib.import_module(n).RATE",
}


@pytest.mark.parametrize("call", CALLS)
def test_a_file_that_a_method_imports_by_a_call(run, fresh_plugins, call):
    write_suite(method="mine")
    helper = "other_helper_of_a_reuse_test"
    text = METHOD.replace("from {helper} import RATE", CALLS[call])
    Path("mine.py").write_text(text.format(helper=helper))
    Path(f"{helper}.py").write_text("RATE = 0.1\n")
    fresh_plugins(helper)
    before, _ = run("--plugin", "mine.py")
    fresh_plugins(helper)
    Path(f"{helper}.py").write_text("RATE = 0.2\n")
    now, out = run("--plugin", "mine.py")
    assert_anew(before, now, out, f"a helper of the method ({helper}.py)")


DATA = """
import numpy as np
from pfl_bench.api import make_dataset, register_dataset

@register_dataset("mine")
def load(request):
    return make_dataset("mine", dict(np.load("mine.npz")), mean=({mean},), std=(0.5,))
"""


def test_a_data_source_that_scales_the_same_arrays_otherwise(run, fresh_plugins):
    write_suite()
    Path("my.toml").write_text(Path("my.toml").read_text().replace("npz:mine.npz", "mine"))
    Path("source.py").write_text(DATA.format(mean=0.5))
    before, _ = run("--plugin", "source.py")
    fresh_plugins()
    Path("source.py").write_text(DATA.format(mean=0.4))
    now, out = run("--plugin", "source.py")
    assert now["data_sha256"] == before["data_sha256"]
    assert_anew(before, now, out, "what the data source says of the data, the data source's source (source.py)")


def test_a_helper_of_a_shipped_method_that_was_another(run):
    write_suite(method="pfedhn_pc")
    run()
    (path,) = Path("r/t/runs").glob("*/run.json")
    record = json.loads(path.read_text())
    assert {"method helper:methods/_hypernetwork.py", "method helper:methods/pfedhn.py"} <= set(record["sources"])
    record["sources"]["method helper:methods/_hypernetwork.py"] = "0" * 64
    path.write_text(json.dumps(record))
    now, out = run()
    assert_anew(record, now, out, "a helper of the method (methods/_hypernetwork.py)")


def test_a_folder_that_holds_runs_on_both_data_does_not_average_them(run, cli):
    write_suite()
    run()
    write_data(Path("mine.npz"), 2)
    status, out, _ = cli("run", "--suite", "my.toml", "--executor", "serial", "--out", "r", "--seeds", "1")
    table = pd.read_csv("r/t/leaderboard.csv")
    assert status == 0 and table["seeds"].tolist() == [1, 1]
    assert table["scenario"].str.fullmatch(r"s-v1( \[data [0-9a-f]{6}\])?").all() and table["scenario"].is_unique
    assert all(name in out for name in table["scenario"]), "and both are shown"


def _plan(data_dir: Path):
    write_suite()
    suite = parse_suite(Path("my.toml").read_text(), "my.toml")
    runs = plan_runs(["fedavg"], suite.scenarios, [0], suite, {})
    return make_plan("t", runs, data_dir, Options(checkpoint_seconds=0.0))


class StopsAfterACheckpoint:
    """An executor that is interrupted."""

    def execute(self, jobs, datasets, *take):
        for update in SerialExecutor().execute(jobs, datasets, *take):
            yield update
            if isinstance(update[1], Checkpoint):
                return


class Watched(SerialExecutor):
    """Remembers from what its jobs went on."""

    def __init__(self):
        self.resumed = []

    def execute(self, jobs, datasets, take):
        def watched(position, job):
            own = take(position, job)
            self.resumed.append(own.resume_from)
            return own

        yield from super().execute(jobs, datasets, watched)


def test_a_checkpoint_on_other_data_is_not_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger = Ledger(tmp_path / "r")
    with ledger.lock():
        execute(_plan(tmp_path), ledger, StopsAfterACheckpoint(), lambda run, event: None)
        write_data(tmp_path / "mine.npz", 2)
        plan, watched = _plan(tmp_path), Watched()
        outcome = execute(plan, ledger, watched, lambda run, event: None)
    assert watched.resumed == [None]
    assert outcome.renewed == {plan.runs[0].id: "the data"} and outcome.finished == [plan.runs[0].id]


def test_fresh_starts_over_from_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, plan = Ledger(tmp_path / "r"), _plan(tmp_path)
    with ledger.lock():
        execute(plan, ledger, StopsAfterACheckpoint(), lambda run, event: None)
        assert ledger.checkpoint(plan.runs[0].id) is not None
        watched = Watched()
        standing = review(plan.runs, plan.bases, ledger, fresh=True)
        outcome = execute(plan, ledger, watched, lambda run, event: None, standing)
    assert watched.resumed == [None] and outcome.renewed == {} and outcome.finished == [plan.runs[0].id]
    assert not (tmp_path / "r" / "aside").exists()


def test_a_run_whose_selected_evaluation_was_of_a_warm_start():
    """LG-FedAvg on IID data was FedAvg: version 1 selected from the warm start as well."""
    suite = parse_suite(SUITE.format(method="lg_fedavg", partition='{ rule = "iid" }', model="mlp"), "s")
    for cohort, warm_start, best, why in (
        (5, 0.5, 5, "which evaluations are selected from"), (5, 0.5, 10, ""), (2, 0.5, 6, "which evaluations are "
        "selected from"), (2, 0.5, 7, ""), (5, 1.0, 10, ""), (5, 0.0, 5, ""),
    ):  # fmt: skip
        own = {"lg_fedavg": {"warm_start": warm_start, "cohort": cohort}}
        (run,) = plan_runs(["lg_fedavg"], suite.scenarios, [0], suite, own)
        summary = {"received": {"best": {"visits": best, "accuracy": 50.0}}}
        written = ledgers.record(method="lg_fedavg", official_moment="received", summary=summary)
        assert selection_of(Record.parse("id", {"schema": 1, **written}), run) == why, (cohort, warm_start, best)


@pytest.mark.parametrize(
    ("mean", "why"), [(0.3048547052687557, ""), (0.304854706, "what the data source says of the data")]
)
def test_the_last_bits_of_a_mean_are_the_processor_s_and_no_other_data(mean, why):
    """Published on a machine with AVX-512, resumed or computed again on one without."""
    basis = Basis("d", "p", {}, {"classes": 10, "mean": [0.3048547052687556]})
    found = {"data_sha256": "d", "partition_sha256": "p", "sources": {}, "data_facts": {"classes": 10, "mean": [mean]}}
    assert mismatch(Record.parse("id", {"schema": 1, **ledgers.record(**found)}), basis) == why


def test_what_differs_is_said_in_words():
    basis = Basis("d", "p", {"method:mine.py": "a", "model:net.py": "b"})

    def why(**changes) -> str:
        of_basis = {"data_sha256": "d", "partition_sha256": "p", "sources": dict(basis.sources)}
        return mismatch(Record.parse("id", {"schema": 1, **ledgers.record(**{**of_basis, **changes})}), basis)

    assert why() == ""
    assert why(data_sha256="x", partition_sha256="y") == "the data, the split"
    assert why(sources={"method:mine.py": "c"}) == "the method's source (mine.py), the client model's source (net.py)"


def test_a_helper_that_lies_in_another_folder(run, fresh_plugins):
    """What a plug-in imports by name is found where it was loaded from, not only beside the plug-in."""
    write_suite(method="mine")
    Path("plugs").mkdir()
    Path("plugs/mine.py").write_text(METHOD.format(helper="far_helper_of_a_reuse_test"))
    helper = Path("far_helper_of_a_reuse_test.py")
    helper.write_text("RATE = 0.1\n")
    before, _ = run("--plugin", "plugs/mine.py")
    fresh_plugins(helper.stem)
    helper.write_text("RATE = 0.2\n")
    now, out = run("--plugin", "plugs/mine.py")
    assert_anew(before, now, out, f"a helper of the method ({helper.name})")


def test_a_base_class_from_another_plug_in(run, fresh_plugins):
    write_suite(method="child")
    base = METHOD.format(helper="math").replace("from math import RATE", "RATE = {rate}")
    child = (
        "from pfl_bench.api import register_method\nfrom pfl_bench.registry import METHODS\n"
        "@register_method('child', paper='none')\nclass Child(METHODS.get('mine')):\n    pass\n"
    )
    Path("base.py").write_text(base.replace("{rate}", "0.1"))
    Path("child.py").write_text(child)
    before, _ = run("--plugin", "base.py", "--plugin", "child.py")
    fresh_plugins()
    Path("base.py").write_text(base.replace("{rate}", "0.2"))
    now, out = run("--plugin", "base.py", "--plugin", "child.py")
    assert_anew(before, now, out, "a helper of the method (base.py)")


def test_a_record_of_another_run_under_this_name_is_not_reused(run):
    write_suite()
    before, _ = run()
    path = Path("r/t/runs") / before["id"] / "run.json"
    path.write_text(json.dumps({**before, "seed": 3}))
    now, out = run()
    assert now["seed"] == 0 and "its record (what it says of itself is the run fedavg-s3-" in " ".join(out.split())
    (kept,) = Path("r/t/aside").iterdir()
    assert json.loads((kept / "run.json").read_text())["seed"] == 3, "what was edited is not thrown away"


def test_a_checkpoint_beside_a_record_that_cannot_be_read_is_not_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, watched = Ledger(tmp_path / "r"), Watched()

    with ledger.lock():
        plan = _plan(tmp_path)
        execute(plan, ledger, StopsAfterACheckpoint(), lambda run, event: None)
        record = tmp_path / "r" / "runs" / plan.runs[0].id / "run.json"
        record.write_text(record.read_text()[:200])
        execute(_plan(tmp_path), ledger, watched, lambda run, event: None)
    assert watched.resumed == [None]


def test_an_intact_checkpoint_is_gone_on_from(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, watched = Ledger(tmp_path / "r"), Watched()

    with ledger.lock():
        execute(_plan(tmp_path), ledger, StopsAfterACheckpoint(), lambda run, event: None)
        execute(_plan(tmp_path), ledger, watched, lambda run, event: None)
    assert len(watched.resumed) == 1 and watched.resumed[0] is not None


@pytest.mark.parametrize("how", ["a flipped bit", "cut off", "of another run", "missing", "no JSON in its header"])
def test_any_doubt_about_a_checkpoint_means_starting_over_and_saying_so(tmp_path, monkeypatch, how, capsys):
    """In version 1 a flipped bit went on to another result, and others failed the run."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, plan, watched = Ledger(tmp_path / "r"), _plan(tmp_path), Watched()
    with ledger.lock():
        execute(plan, ledger, StopsAfterACheckpoint(), lambda run, event: None)
        (path,) = ledger.runs.glob("*/checkpoint.bin")
        data = bytearray(path.read_bytes())
        if how == "a flipped bit":
            data[-5] ^= 4
        elif how == "no JSON in its header":
            data[70:80] = b"}" * 10
        other = checkpoint.dumps({**checkpoint.loads(path.read_bytes()), "run": "local-s0-0"})
        path.write_bytes({"cut off": bytes(data[:-9]), "of another run": other}.get(how, bytes(data)))
        if how == "missing":
            path.unlink()
        standing = review(plan.runs, plan.bases, ledger)
        say_standing(Console(width=200), standing, ledger)
        outcome = execute(plan, ledger, watched, lambda run, event: None, standing)
        fresh = Ledger(tmp_path / "undisturbed")
        execute(plan, fresh, SerialExecutor(), lambda run, event: None)
    assert watched.resumed == [None] and outcome.finished == [plan.runs[0].id]
    why = standing.restarted[plan.runs[0].id]
    assert f"Started over instead of going on, because of {why}" in capsys.readouterr().out
    clients = [(folder.runs / plan.runs[0].id / "clients.csv").read_bytes() for folder in (ledger, fresh)]
    assert clients[0] == clients[1]


def test_a_run_begun_under_another_commit_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, plan = Ledger(tmp_path / "r"), _plan(tmp_path)

    def go_on(commit, executor):
        monkeypatch.setattr("pfl_bench.running.keeping.commit", lambda: Commit(commit))
        monkeypatch.setattr("pfl_bench.cli.told.commit", lambda: Commit(commit))
        standing = review(plan.runs, plan.bases, ledger)
        say_standing(Console(width=200), standing, ledger)
        execute(plan, ledger, executor, lambda run, event: None, standing)
        return ledger.record(plan.runs[0].id)

    with ledger.lock():
        assert go_on("aaa", StopsAfterACheckpoint()).begun_under == ()
        assert [one["git_commit"] for one in go_on("bbb", StopsAfterACheckpoint()).begun_under] == ["aaa"]
        record = go_on("bbb", SerialExecutor())
    assert "Going on from checkpoints of commit aaa" in capsys.readouterr().out
    assert record.status == "finished" and record.git_commit == "bbb"
    expected = [{"git_commit": "aaa", "device": "cpu", "backend": "vmap, loop for single clients"}]
    assert [{key: one[key] for key in expected[0]} for one in record.begun_under] == expected


def test_a_fresh_run_replaces_a_finished_one_only_when_it_is_finished_itself(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger, plan = Ledger(tmp_path / "r"), _plan(tmp_path)
    (run,) = plan.runs

    class Fails:
        def execute(self, jobs, datasets, *take):
            yield 0, Failure("no luck", "a traceback")

    def execute_fresh(executor):
        return execute(
            plan, ledger, executor, lambda run, event: None, review(plan.runs, plan.bases, ledger, fresh=True)
        )

    with ledger.lock():
        execute(plan, ledger, SerialExecutor(), lambda run, event: None)
        before = (ledger.runs / run.id / "run.json").read_bytes()
        execute_fresh(StopsAfterACheckpoint())
        assert execute_fresh(Fails()).failed == {run.id: "no luck"}
        assert (ledger.runs / run.id / "run.json").read_bytes() == before, "in version 1 it was gone"
        assert ledger.error_file(run.id).read_text() == "a traceback"
        assert review(plan.runs, plan.bases, ledger).reused, "and stands"
        execute(plan, ledger, SerialExecutor(), lambda run, event: None)
        assert [p.name for p in ledger.runs.iterdir()] == [run.id]
        assert execute_fresh(SerialExecutor()).finished == [run.id]
    assert (ledger.runs / run.id / "run.json").read_bytes() != before


def test_a_run_on_other_data_goes_on_beside_the_old_one(tmp_path, monkeypatch):
    """And the old one moves aside when it is done."""
    monkeypatch.chdir(tmp_path)
    write_data(tmp_path / "mine.npz", 1)
    ledger = Ledger(tmp_path / "r")
    with ledger.lock():
        execute(_plan(tmp_path), ledger, SerialExecutor(), lambda run, event: None)
        write_data(tmp_path / "mine.npz", 2)
        plan, watched = _plan(tmp_path), Watched()
        execute(plan, ledger, StopsAfterACheckpoint(), lambda run, event: None)
        assert ledger.is_final(plan.runs[0].id) and not ledger.aside.exists()
        execute(plan, ledger, watched, lambda run, event: None)
    assert watched.resumed != [None] and ledger.record(plan.runs[0].id).data_sha256 == plan.bases[plan.runs[0].id].data
    assert [p.name for p in ledger.aside.iterdir()] == [f"{plan.runs[0].id}.1"]
