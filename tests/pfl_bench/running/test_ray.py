"""Runs in Ray's workers. One Ray is started for all tests of this file."""

import os
import signal
from dataclasses import replace
from types import SimpleNamespace

import pytest

from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.engine.stop import ask, forget
from pfl_bench.errors import RequestError
from pfl_bench.registry import load_plugin, read_plugin
from pfl_bench.running.executors.ray import RayExecutor, connect, disconnect
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.job import make_job
from pfl_bench.spec.heterogeneity import ShiftSpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import fingerprint
from pfl_bench.testing.setup import tiny_setup
from tests.conftest import PLUGINS
from tests.pfl_bench.running.test_executors import outcomes, shifted_jobs

MORTAL = '''
"""A method whose worker kills itself after the first checkpoint has reached the driver, as often as it is told."""
import os, signal, time
from pathlib import Path
from pfl_bench.api import LocalSgdConfig, Method, State, register_method

@register_method("mortal", paper="none")
class Mortal(Method):
    moment = "global"

    class Config(LocalSgdConfig):
        marker: str = ""
        kept: str = ""
        lives: int = 1

    def init(self, fed):
        return State(server=fed.init_params())

    def round(self, fed, state, cohort):
        marker = Path(self.config.marker)
        deaths = len(marker.read_text()) if marker.exists() else 0
        if fed.round == 1 and deaths < self.config.lives:
            marker.write_text("x" * (deaths + 1))
            while not Path(self.config.kept).exists():
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGKILL)
        state.server = fed.train_and_average(state.server, cohort, self.config.sgd())
        return state

    def global_params(self, fed, state):
        return state.server
'''

KINDS = {"table": "mlp", "series": "mlp", "tokens": "text-mean"}
"""Shipped client models: what a test registers, Ray's workers would not know."""


@pytest.fixture(scope="module", autouse=True)
def one_ray():
    """A Ray that all of them use, for the start of one takes seconds; executors find it and leave it running."""
    ray = connect(None, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pfl_bench.running.executors.ray.disconnect", lambda _: None)
        yield
    disconnect(ray)


def test_ray_survives_a_dead_worker_and_gives_up_on_a_deadly_run(tmp_path, monkeypatch):
    """The run goes on from its checkpoint in a new worker; one that always kills its worker fails alone."""
    monkeypatch.setattr("pfl_bench.running.executors.ray.WORKER_DEATHS", 1)
    (tmp_path / "mortal.py").write_text(MORTAL)
    plugins = tuple(read_plugin(path) for path in (tmp_path / "mortal.py", PLUGINS / "harmful.py"))
    for plugin in plugins:
        load_plugin(plugin)
    setup = tiny_setup()
    options = Options(checkpoint_seconds=0)
    mortal = make_job(setup.spec("mortal"), setup.partition, options, plugins)
    jobs = [
        replace(
            mortal, config={**mortal.config, "marker": str(tmp_path / "a"), "kept": str(tmp_path / "0"), "lives": 1}
        ),
        replace(
            mortal, config={**mortal.config, "marker": str(tmp_path / "b"), "kept": str(tmp_path / "1"), "lives": 9}
        ),
        make_job(setup.spec("harmful", deed="images"), setup.partition, options, plugins),
        make_job(setup.spec("harmful", deed="exit"), setup.partition, options, plugins),
        make_job(setup.spec("fedavg"), setup.partition, options, plugins),
    ]
    updates = []
    for position, event in RayExecutor(workers=2).execute(jobs, {setup.scenario.dataset: setup.dataset}):
        updates.append((position, event))
        if isinstance(event, Checkpoint):
            (tmp_path / str(position)).touch()
    results = {p: e for p, e in updates if isinstance(e, RunResult | Failure)}
    resumed = [e.visits for p, e in updates if p == 0 and isinstance(e, Progress)]
    assert resumed == [5, 5, 10, 12], "visit 5 is reported again on resuming, and not trained again"
    assert results[0].status == "finished", "a plug-in's method runs in workers that never saw its file"
    assert isinstance(results[1], Failure) and results[1].reason.startswith("mortal: its worker died 2 times")
    assert isinstance(results[2], Failure) and "harmful wrote into train inputs" in results[2].reason
    assert isinstance(results[3], Failure) and "SystemExit" in results[3].reason
    assert "harmful.py" in results[3].details, "with the traceback, which the driver keeps"
    serial = [replace(jobs[0], config={**jobs[0].config, "lives": 0}), jobs[4]]
    undisturbed, _ = outcomes(SerialExecutor(), serial, setup)
    assert fingerprint(results[0]) == fingerprint(undisturbed[0])
    assert fingerprint(results[4]) == fingerprint(undisturbed[1]), "the store's images are as they were"


def test_shifts_and_absent_clients_are_the_same_wherever_a_run_is():
    """Serial, Ray, and a run that is resumed."""
    jobs, setup = shifted_jobs(ShiftSpec(rule="noise"), ShiftSpec(rule="permutation", groups=3))
    serial, updates = outcomes(SerialExecutor(), jobs, setup)
    halfway = next(event.data for _, event in updates if isinstance(event, Checkpoint))
    ray, _ = outcomes(RayExecutor(workers=1), jobs, setup)
    resumed, _ = outcomes(SerialExecutor(), [jobs[0].going_on_from(halfway)], setup)
    assert fingerprint(serial[0]) == fingerprint(ray[0]) == fingerprint(resumed[0])
    assert serial[0].tables == ray[0].tables == resumed[0].tables and "clusters" in serial[0].tables


def test_every_kind_of_input_gives_the_same_numbers_wherever_a_run_is():
    """Serial, Ray, and a run that is resumed; images are the input of this file's other tests."""
    setups = [tiny_setup(f"synthetic:kind={kind},classes=3,n=180", model) for kind, model in KINDS.items()]
    assert [setup.dataset.input.kind for setup in setups] == list(KINDS)
    datasets = {setup.scenario.dataset: setup.dataset for setup in setups}
    options = Options(checkpoint_seconds=0)
    jobs = [make_job(setup.spec("fedper"), setup.partition, options) for setup in setups]
    ray = {p: event for p, event in RayExecutor(workers=1).execute(jobs, datasets) if isinstance(event, RunResult)}
    assert set(ray) == set(range(len(jobs)))
    for position, (job, setup) in enumerate(zip(jobs, setups, strict=True)):
        serial, updates = outcomes(SerialExecutor(), [job], setup)
        halfway = next(event.data for _, event in updates if isinstance(event, Checkpoint))
        resumed, _ = outcomes(SerialExecutor(), [job.going_on_from(halfway)], setup)
        assert fingerprint(serial[0]) == fingerprint(ray[position]) == fingerprint(resumed[0])
        assert serial[0].tables == ray[position].tables == resumed[0].tables


def test_ray_refuses_a_gpu_that_it_does_not_see():
    setup = tiny_setup()
    job = make_job(setup.spec("fedavg"), setup.partition, Options())
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(RequestError, match="Ray sees no GPU"):
        list(RayExecutor(workers=1, device="cuda").execute([job], {setup.scenario.dataset: setup.dataset}))


def test_which_gpus_a_process_sees_is_its_own_again_afterwards(monkeypatch):
    """A second request for the second of two GPUs must find it where the first one did."""
    for before in ("0,1", None):
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        if before is not None:
            monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
        for _ in range(2):
            with pytest.raises(RequestError, match="sees no GPU"):
                list(RayExecutor(workers=1, device="cuda:1").execute([], {}))
            assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_a_ray_that_the_caller_had_joined_is_not_ended(monkeypatch):
    ended = []
    theirs = SimpleNamespace(is_initialized=lambda: True, shutdown=lambda: ended.append(True))
    monkeypatch.setattr("pfl_bench.running.executors.ray._joined", [])
    monkeypatch.setattr("pfl_bench.running.executors.ray.import_ray", lambda address=None: theirs)
    disconnect(connect(None, 1))
    assert not ended


def test_ray_s_workers_leave_checkpoints_when_the_driver_is_asked_to_stop():
    setup = tiny_setup()
    job = make_job(setup.but(visits=3000).spec("fedavg"), setup.partition, Options())
    updates = RayExecutor(workers=2).execute([job, job, job], {setup.scenario.dataset: setup.dataset})
    try:
        next(updates)
        ask(signal.SIGTERM)
        rest = list(updates)
    finally:
        forget()
    assert {p for p, e in rest if isinstance(e, Checkpoint)} <= {0, 1}, "the third is not started"
    assert any(isinstance(e, Checkpoint) for _, e in rest)
    assert not any(isinstance(e, RunResult | Failure) for _, e in rest)
