"""Recordings: work that is done again on the same memory."""

import gc
import weakref
from types import SimpleNamespace

import pytest
import torch

from pfl_bench.client.backends import cuda_graphs
from pfl_bench.client.backends.cuda_graphs import Recordings
from pfl_bench.client.params import Params
from pfl_bench.engine.events import RunResult
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.unchanged import marks
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import tiny_setup

CPU = torch.device("cpu")


def descend(held, given):
    held["w"].sub_(0.1 * given["g"])
    return Params(w=held["w"] * 2)


def test_held_tensors_are_changed_once_per_run_and_outputs_are_fresh():
    recordings, held, plain = Recordings(), Params(w=torch.ones(3)), Params(w=torch.ones(3))
    kept = []
    for scale in (1.0, 2.0, 3.0):
        given = {"g": torch.full((3,), scale)}
        kept.append((recordings.run("descend", descend, held, given, CPU), descend(plain, given)))
    assert len(recordings) == 1
    assert torch.equal(held["w"], plain["w"])
    assert all(torch.equal(ours["w"], theirs["w"]) for ours, theirs in kept)


def test_other_tensors_or_shapes_are_recorded_anew_and_old_recordings_dropped():
    recordings = Recordings(kept=2)
    for size in (3, 4, 5):
        held = Params(w=torch.ones(size))
        recordings.run("descend", descend, held, {"g": torch.ones(size)}, CPU)
        assert torch.allclose(held["w"], torch.full((size,), 0.9))
    assert len(recordings) == 2


def test_who_looks_on_sees_what_is_written_and_nothing_else():
    """An evaluation that only reads a state must not be taken for one that changes it."""
    recordings, held = Recordings(), Params(w=torch.ones(3))
    before = marks(held)
    for _ in range(2):
        recordings.run("read", lambda held, given: held["w"] * given["g"], held, {"g": torch.ones(3)}, CPU)
        assert marks(held) == before
    for _ in range(2):
        before = marks(held)
        recordings.run("descend", descend, held, {"g": torch.ones(3)}, CPU)
        assert marks(held) != before


@pytest.mark.parametrize("method", ["pfedhn", "pfedhn_pc"])
def test_a_whole_run_of_a_hypernetwork_replayed_is_the_run(monkeypatch, method):
    setup = tiny_setup()
    *_, expected = run_job(make_job(setup.spec(method), setup.partition, Options(backend="graph")), setup.dataset)
    monkeypatch.setattr(
        Federation,
        "replayed",
        lambda fed, name, work, held, given: fed._group.recordings.run(name, work, held, given, CPU),
    )
    *_, found = run_job(make_job(setup.spec(method), setup.partition, Options(backend="graph")), setup.dataset)
    assert isinstance(expected, RunResult) and isinstance(found, RunResult), found
    assert found.clients == expected.clients


def test_hypernetwork_replayed_is_hypernetwork(monkeypatch):
    """What a GPU does, but for the capture itself."""
    visits = (0, 1, 2, 0)
    expected = Harness("pfedhn")
    for client in visits:
        expected.round(client)
    replayed = Harness("pfedhn")
    recordings = replayed.group.recordings
    monkeypatch.setattr(
        Federation, "replayed", lambda fed, name, work, held, given: recordings.run(name, work, held, given, CPU)
    )
    for client in visits:
        replayed.round(client)
    for name, tensor in expected.state.phi.items():
        assert torch.equal(tensor, replayed.state.phi[name])
    assert len(recordings) == 2


def test_what_recorded_work_reads_lives_as_long_as_its_recording(monkeypatch):
    """A graph reads tensors by their addresses; that of a run must not find another run's there."""
    monkeypatch.setattr(cuda_graphs, "_capture", lambda work: (work(), lambda: None))
    scale = torch.full((3,), 2.0)
    alive, gpu = weakref.ref(scale), SimpleNamespace(type="cuda")
    recording = cuda_graphs.record(lambda given, scale=scale: given * scale, torch.ones(3), (), gpu)
    del scale
    gc.collect()
    assert alive() is not None and recording.outputs.tolist() == [2.0] * 3
    del recording
    gc.collect()
    assert alive() is None
