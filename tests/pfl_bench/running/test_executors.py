import os
import signal
import socket
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from pfl_bench.data.alike import with_shifts
from pfl_bench.engine.events import Checkpoint, Failure, Progress, RunResult
from pfl_bench.engine.stop import Stopped
from pfl_bench.errors import RequestError
from pfl_bench.registry import load_plugin, read_plugin
from pfl_bench.running.executors.ray import RayExecutor, check_address, connect
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.job import Job, make_job
from pfl_bench.spec.heterogeneity import AvailabilitySpec, ShiftSpec
from pfl_bench.spec.options import Options
from pfl_bench.testing.setup import TinySetup, tiny_setup


def outcomes(executor, jobs, setup) -> tuple[dict, list]:
    updates = list(executor.execute(jobs, {setup.scenario.dataset: setup.dataset}))
    return {p: e for p, e in updates if isinstance(e, RunResult | Failure)}, updates


def test_serial_streams_progress_checkpoints_and_results():
    setup = tiny_setup()
    jobs = [make_job(setup.spec(m), setup.partition, Options(checkpoint_seconds=0)) for m in ("fedavg", "local")]
    results, updates = outcomes(SerialExecutor(), jobs, setup)
    assert [results[p].status for p in (0, 1)] == ["finished", "finished"]
    kinds = {type(e) for _, e in updates}
    assert kinds == {Progress, Checkpoint, RunResult}


SHIFT = """
from pfl_bench.api import ShiftConfig, register_shift

def brighter(values, rng):
    return values // 2 + 100

@register_shift("brightness", config=ShiftConfig, of="inputs")
def brightness(config, context, groups, rng):
    return [None, *[brighter] * (groups - 1)]
"""


def shifted_jobs(*specs: ShiftSpec, plugins=()) -> tuple[list[Job], TinySetup]:
    away = AvailabilitySpec(present=0.7, spread=0.2, stragglers=0.4)
    setup = tiny_setup().but(shift=specs, availability=away, visits=8)
    setup = replace(setup, partition=with_shifts(specs, setup.dataset, setup.partition, 0))
    return [make_job(setup.spec("ifca"), setup.partition, Options(checkpoint_seconds=0), plugins)], setup


def test_a_plug_ins_shift_runs_in_a_process_that_never_saw_its_file(tmp_path):
    (tmp_path / "shift.py").write_text(SHIFT)
    plugins = (read_plugin(tmp_path / "shift.py"),)
    load_plugin(plugins[0])
    jobs, setup = shifted_jobs(ShiftSpec(rule="brightness"), plugins=plugins)
    plain, _ = shifted_jobs()
    assert jobs[0].brings_code and not plain[0].brings_code
    results, _ = outcomes(SerialExecutor(), jobs, setup)
    assert results[0].status == "finished"


def test_the_data_set_is_shared_and_not_copied():
    """A worker's arrays are read-only views into the object store."""
    from pfl_bench.running.executors.ray import _publish, _sessions, connect, disconnect

    setup = tiny_setup("synthetic:n=4000,side=32")  # small objects would travel inside the task
    job = make_job(setup.spec("fedavg"), setup.partition, Options())
    ray = connect(None, 1)
    try:
        published = _publish(ray, [job, job], {setup.scenario.dataset: setup.dataset})

        def look(dataset):
            images = dataset.train_inputs
            return images.flags.owndata, images.flags.writeable, images.nbytes

        assert len(published) == 1
        owned, writeable, size = ray.get(ray.remote(look).remote(published[setup.scenario.dataset]))
        assert (owned, writeable, size) == (False, False, setup.dataset.train_inputs.nbytes)
        (session,) = _sessions
        listening = addresses_listened_at(session.folder)
        assert listening and all(address in ("127.0.0.1", "::1") for address in listening), "nobody else can join"
    finally:
        disconnect(ray)
    assert not session.folder.exists(), "its sockets and logs are gone with it"


def addresses_listened_at(folder: Path) -> set[str]:
    """Where the processes of a local Ray with this folder, their children and this process accept TCP connections."""
    psutil = pytest.importorskip("ray._private.utils").psutil

    processes = [p for p in psutil.process_iter() if any(str(folder) in word for word in p.cmdline())]
    processes += [psutil.Process(), *(child for p in list(processes) for child in p.children(recursive=True))]
    found = [c for p in processes for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    return {connection.laddr.ip.removeprefix("::ffff:") for connection in found}


def test_folders_of_drivers_that_were_killed_are_removed(monkeypatch, tmp_path):
    from pfl_bench.running.executors.local_ray import PREFIX, Session

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    left, foreign = tmp_path / f"{PREFIX}left", tmp_path / f"{PREFIX}foreign"
    left.mkdir()
    foreign.mkdir()
    (left / "lock").touch()
    going_on, another = Session.open(), Session.open()
    assert going_on.folder.exists() and foreign.exists() and not left.exists()
    going_on.close()
    another.close()
    assert list(tmp_path.iterdir()) == [foreign]


def test_addresses_are_checked_at_once():
    with pytest.raises(RequestError, match="'nowhere' must be HOST:PORT"):
        check_address("nowhere")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    with pytest.raises(RequestError, match=f"nothing answers at 127.0.0.1:{port}"):
        check_address(f"127.0.0.1:{port}")


class PretendRay:
    """Stands in for a cluster with these resources."""

    def __init__(self, **resources):
        self.resources = resources

    def cluster_resources(self):
        return self.resources

    def remote(self, **options):
        return lambda function: options


@pytest.mark.parametrize(
    ("device", "workers", "limit", "share"),
    [("cuda", None, 8, 0.25), ("cuda", 3, 3, 2 / 3), ("cuda", 1, 1, 1.0), ("cpu", None, 16, 0), ("cpu", 2, 2, 0)],
)
def test_runs_share_gpus_in_equal_fractions(device, workers, limit, share):
    """Two GPUs and 16 cores: four runs per GPU unless --workers says otherwise."""
    ray, executor = PretendRay(CPU=16.0, GPU=2.0), RayExecutor(workers=workers, device=device)
    assert executor._limit(ray) == limit
    options = executor._remote(ray)
    assert options["num_gpus"] == pytest.approx(share) and options["max_retries"] == 0
    assert options["num_gpus"] * limit <= 2.0 and options["num_cpus"] * limit <= 16


def test_without_the_package_ray_there_is_one_clear_line(monkeypatch):
    import sys

    from pfl_bench.running.executors.ray import import_ray

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(
        RequestError, match=r"needs the package 'ray' \(ModuleNotFoundError.*pip install 'pfl-bench\[ray\]'"
    ):
        import_ray()


@pytest.mark.parametrize("terminated", [False, True], ids=["in peace", "terminated while it starts"])
def test_sigterm_stays_ours_although_ray_takes_it(monkeypatch, terminated):
    class Ray:
        util = SimpleNamespace(get_node_ip_address=lambda: "127.0.0.1")

        def __init__(self, address):
            assert address is None

        def is_initialized(self):
            return False

        def init(self, **_):
            signal.signal(signal.SIGTERM, lambda number, _: sys.exit(number))  # as Ray does
            if terminated:
                os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr("pfl_bench.running.executors.ray.import_ray", Ray)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Stopped) if terminated else nullcontext() as told:
        connect(None, 1)
    assert signal.getsignal(signal.SIGTERM) is before
    assert not terminated or told.value.number == signal.SIGTERM
