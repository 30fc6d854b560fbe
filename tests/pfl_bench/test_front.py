"""The Python API: what the commands do, as functions."""

import inspect
import signal
import subprocess
import sys

import pytest

import pfl_bench as pfl
from pfl_bench import front
from pfl_bench.cli import app, publishing
from tests.pfl_bench.cli.tiny import FEDMEDIAN, SUITE


@pytest.fixture
def tiny(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.toml"
    path.write_text(SUITE)
    return path


def run(tiny, **more):
    return pfl.run(tiny, **{"executor": "serial", "progress": False, **more})


def test_importing_and_reading_results_loads_no_torch():
    code = (
        "import sys, pfl_bench as pfl; light = {'pandas', 'torch'}.isdisjoint(sys.modules);"
        "table = pfl.published('paper-mnist').leaderboard();"
        "assert light and len(table) and not {'torch', 'ray'} & set(sys.modules) and 'run' in dir(pfl)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_call_and_a_command_go_on_from_each_other(tiny, cli):
    first = run(tiny, methods=["fedavg"], seeds=range(2))
    assert len(first.runs) == 2 and set(first.runs["method"]) == {"fedavg"} and not first.failed
    status, out, _ = cli("run", "--suite", str(tiny), "--executor", "serial")
    assert status == 0 and "2 of 4 runs were finished before" in out
    again = run(tiny, seeds="0", methods="fedavg,fedper")
    assert set(again.runs["seed"]) == {0} and len(again.leaderboard()) == 2
    assert set(again.runs.loc[again.runs["method"] == "fedavg", "seconds"]) < set(first.runs["seconds"])
    loaded = pfl.load("results/tiny")
    assert len(loaded.runs) == 4 and loaded.folder == again.folder


def test_settings_plugins_and_kept_models(tiny):
    results = run(
        tiny, methods=["fedmedian"], seeds=0, plugins=[FEDMEDIAN], settings={"fedmedian": {"lr": 0.1}},
        keep_models=True, budget_scale=0.5, out="elsewhere",
    )  # fmt: skip
    (row,) = results.runs.to_dict("records")
    assert '"lr": 0.1' in row["config"] and row["config_from"] == "request" and row["visits"] == 10
    model = pfl.load_model(results.folder / "runs" / row["run_id"], client=5)
    assert not model.training
    with pytest.raises(pfl.RequestError, match="client=6 is none of the 6 training clients"):
        pfl.load_model(results.folder / "runs" / row["run_id"], client=6)


def test_what_failed_does_not_raise_and_nobody_s_choice_is_noted(tiny):
    results = run(tiny, methods="fedavg", seeds=0, settings={"fedavg": {"lr": 1e30, "clip_norm": 1e30}})
    assert "NaN or infinite" in next(iter(results.failed.values()))
    assert "Untuned on" in run(tiny, methods="fedper", seeds=0).notes[0]


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: pfl.run("quik"), "unknown suite 'quik': did you mean 'quick'?"),
        (lambda: pfl.run("quick", methods=["fedavgg"]), "unknown method 'fedavgg'"),
        (lambda: pfl.run("quick", seeds=-1), "--seeds: '-1'"),
        (lambda: pfl.run("quick", settings={"fedavg": {"lr": {1}}}), "settings: "),
        (lambda: pfl.run("quick", executor="rai"), "unknown executor 'rai'"),
        (lambda: pfl.run("quick", lockstep=0), "--lockstep: 0 must be at least 1"),
        (lambda: pfl.run("quick", workers=-1), "--workers: -1 must be at least 1"),
        (lambda: pfl.run("quick", executor="serial", workers=8), "--workers 8 is for --executor ray"),
        (lambda: pfl.run("quick", lockstep=8, backend="vmap"), "--lockstep 8 is for --backend auto"),
        (lambda: pfl.tune("quick", trials=0), "--trials: 0 must be at least 1"),
        (lambda: pfl.tune("quick", executor="serial", workers=2), "--workers 2 is for --executor ray"),
        (lambda: pfl.tune("quick", seeds=range(2)), "is one of the suite's own"),
        (lambda: pfl.estimate("quick", methods="x"), "unknown method 'x'"),
        (lambda: pfl.load_model("none", 0), "has no models.safetensors"),
    ],
)
def test_wrong_requests_are_one_line_and_write_nothing(tmp_path, monkeypatch, ask, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pfl.RequestError, match="^[^\n]*$") as caught:
        ask()
    assert said in str(caught.value) and not list(tmp_path.iterdir())


def test_ctrl_c_leaves_checkpoints_and_the_handler_of_before(tiny, monkeypatch):
    from pfl_bench.engine.simulator import draw_cohort

    before, asked = signal.getsignal(signal.SIGINT), []

    def once(*arguments):
        if not asked:
            asked.append(signal.raise_signal(signal.SIGINT))
        return draw_cohort(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr("pfl_bench.engine.simulator.draw_cohort", once)
        with pytest.raises(KeyboardInterrupt):
            run(tiny, methods="fedavg", seeds=0)
    assert signal.getsignal(signal.SIGINT) is before
    assert pfl.load("results").runs["status"].tolist() == ["unfinished"]
    assert run(tiny, methods="fedavg", seeds=0).runs["status"].tolist() == ["finished"]


def test_progress_is_told_where_there_are_no_bars(tiny, capsys):
    run(tiny, methods="fedavg", seeds=0, progress=True)
    assert "[1/1 runs] fedavg-s0-" in capsys.readouterr().out


def test_tuning_gives_frames_and_toml(tiny):
    tuning = pfl.tune(tiny, methods="fedavg", trials=2, seeds=1000, executor="serial", progress=False)
    assert tuning.complete and tuning.choices["method"].tolist() == ["fedavg"] and len(tuning.trials) >= 2
    assert tuning.toml.startswith("[hyperparameters]") and all(path.is_file() for path in tuning.files)


def test_an_estimate_says_what_is_missing(tiny, tmp_path):
    found = pfl.estimate(tiny, seeds=range(3), executor="serial", keep_models=True)
    assert (found.runs, found.finished, found.workers) == (6, 0, 1) and 0 < found.hours < 1
    assert found.disk_bytes > 6 * 4000 and not (tmp_path / "results").exists()
    run(tiny, methods="fedavg", seeds=range(3))
    assert pfl.estimate(tiny, seeds=range(3), executor="serial").finished == 3


@pytest.mark.parametrize(
    ("function", "command"),
    [(front.run, app.run), (front.tune, app.tune), (front.estimate, app.estimate), (front.site, publishing.site)],
)
def test_functions_take_what_the_commands_take_with_the_same_defaults(function, command):
    api, typed = (inspect.signature(own).parameters for own in (function, command))
    names = {"set_": "settings", "plugin": "plugins"}
    without = {"in_process", "dry_run"}
    common = {names.get(name, name): own for name, own in typed.items() if name not in without}
    assert set(api) - {"progress"} >= set(common) and set(common) >= set(api) - {"progress"}
    plain = {
        n
        for n, own in common.items()
        if n not in ("out", "settings", "tuned", "plugins", "track") and own.default is not inspect._empty
    }
    assert {n: api[n].default for n in plain} == {n: common[n].default for n in plain}


def test_seeds_of_numpy_are_seeds():
    import numpy as np

    from pfl_bench.actions.words import as_seeds

    assert as_seeds(np.int64(3)) == "3" and as_seeds(np.arange(2)) == "0,1"
