import os

import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.errors import RequestError
from pfl_bench.running.tracking import Tracking
from pfl_bench.testing.setup import tiny_setup

RESULT = RunResult(
    "finished",
    summary={"global": {"best": {"visits": 20, "accuracy": 70.0, "worst_decile": 50.0, "client_std": 3.0}}},
    facts={"official_moment": "global"},
)


class Recorder:
    def __init__(self):
        self.calls: list[tuple] = []

    def start(self, run):
        self.calls.append(("start", run.id))

    def log(self, run, visits, metrics):
        self.calls.append(("log", visits, dict(metrics)))

    def end(self, run, status):
        self.calls.append(("end", status))

    def close(self):
        self.calls.append(("close",))


@pytest.fixture
def run():
    return tiny_setup().spec("fedavg")


def test_a_run_is_told_from_start_to_end(run):
    recorder = Recorder()
    tracking = Tracking({"x": recorder})
    for event in (Progress(5, None), Progress(10, 40.0, {"bytes_down": 7}), Checkpoint(b""), RESULT):
        tracking.listen(run, event)
    tracking.close()
    assert recorder.calls == [
        ("start", run.id),
        ("log", 10, {"validation accuracy": 40.0, "bytes_down": 7.0}),
        ("log", 20, {"test accuracy": 70.0, "test worst_decile": 50.0, "test client_std": 3.0}),
        ("end", "finished"),
        ("close",),
    ]


def test_test_accuracy_is_never_told_before_the_end(run):
    recorder = Recorder()
    Tracking({"x": recorder}).listen(run, Progress(10, 40.0, {"bytes_down": 7}))
    assert not any("test" in name for call in recorder.calls if call[0] == "log" for name in call[2])


def test_a_broken_tracker_costs_no_run(run):
    class Broken(Recorder):
        def log(self, run, visits, metrics):
            raise OSError("server gone")

    good = Recorder()
    tracking = Tracking({"bad": Broken(), "good": good})
    with pytest.warns(UserWarning, match="'bad' is switched off: .*server gone"):
        tracking.listen(run, Progress(10, 40.0))
    tracking.listen(run, Failure("reason", ""))
    assert good.calls[-1] == ("end", "failed")


def test_unknown_and_missing_trackers(tmp_path, monkeypatch, capsys):
    with pytest.raises(RequestError, match="tensorboard"):
        Tracking.open(["tensorbord"], tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(RequestError, match=r"pip install 'pfl-bench\[mlflow\]'"):
        Tracking.open(["mlflow"], tmp_path)
    assert run_command_line(["run", "--track", "wandb", "--out", str(tmp_path / "r"), "--executor", "serial"]) == 2
    assert "wandb" in capsys.readouterr().err and not (tmp_path / "r").exists()


def test_trackers_tell_their_makers_nothing_unless_the_user_says_so(tmp_path, monkeypatch):
    monkeypatch.delenv("MLFLOW_DISABLE_TELEMETRY", raising=False)
    Tracking.open([], tmp_path)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "false")
    Tracking.open([], tmp_path)
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "false"


def test_tensorboard_for_real(tmp_path):
    pytest.importorskip("tensorboard", reason="the extra 'tensorboard' is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    words = "run --methods fedavg --seeds 0 --executor serial --budget-scale 0.2 --track tensorboard --out"
    assert run_command_line([*words.split(), str(tmp_path)]) == 0
    (folder,) = {p.parent for p in (tmp_path / "quick" / "tensorboard").rglob("events*")}
    events = EventAccumulator(str(folder))
    events.Reload()
    assert [e.step for e in events.Scalars("validation accuracy")] == [30, 60]
    assert len(events.Scalars("test accuracy")) == 1


def test_mlflow_for_real(tmp_path, run, monkeypatch):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    pytest.importorskip("sqlalchemy", reason="the extra 'mlflow' is not installed")
    from mlflow import MlflowClient

    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    tracking = Tracking.open(["mlflow"], tmp_path)
    for event in (Progress(10, 40.0), Progress(20, 50.0), RESULT):
        tracking.listen(run, event)
    tracking.close()
    client = MlflowClient(tracking_uri=f"sqlite:///{tmp_path / 'mlflow' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(run.scenario.id)
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.info.status == "FINISHED" and found.data.params["method"] == "fedavg"
    history = client.get_metric_history(found.info.run_id, "validation accuracy")
    assert [(m.step, m.value) for m in history] == [(10, 40.0), (20, 50.0)]


@pytest.mark.parametrize("name", ["plain", "a b", "50%", "100%25", "a?b", "a#b"])
def test_mlflows_database_lies_in_the_folder_that_was_named(tmp_path, name):
    pytest.importorskip("mlflow", reason="the extra 'mlflow' is not installed")
    engine = pytest.importorskip("sqlalchemy.engine", reason="the extra 'mlflow' is not installed")
    from pfl_bench.running.tracking.mlflow import sqlite_uri

    file = tmp_path / name / "mlflow.db"
    try:
        assert engine.make_url(sqlite_uri(file)).database == str(file)
    except RequestError as error:
        assert "?" in name and "choose a folder without" in str(error)
