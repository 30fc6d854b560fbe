import torch

from pfl_bench.client.backends.cuda_graphs import Recordings
from pfl_bench.client.params import Params
from pfl_bench.engine.federation import Federation
from pfl_bench.engine.places import build_federation
from pfl_bench.testing.kit import tiny_arena

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
    assert len(recordings._held) == 1
    assert torch.equal(held["w"], plain["w"])
    assert all(torch.equal(ours["w"], theirs["w"]) for ours, theirs in kept)


def test_other_tensors_or_shapes_are_recorded_anew_and_old_recordings_dropped():
    recordings = Recordings(kept=2)
    for size in (3, 4, 5):
        held = Params(w=torch.ones(size))
        recordings.run("descend", descend, held, {"g": torch.ones(size)}, CPU)
        assert torch.allclose(held["w"], torch.full((size,), 0.9))
    assert len(recordings._held) == 2


def test_hypernetwork_replayed_is_hypernetwork(monkeypatch):
    """What a GPU does, but for the capture itself."""
    from pfl_bench.methods.pfedhn import PFedHN

    arena = tiny_arena()
    fed = build_federation(arena.spec("pfedhn"), arena.dataset, arena.partition, CPU)
    method = PFedHN(PFedHN.Config())

    def trained(rounds=4):
        state = method.init(fed)
        for round in range(rounds):
            state = method.round(fed, state, torch.tensor([round % 3]))
        return state.phi

    expected = trained()
    monkeypatch.setattr(
        Federation, "replayed", lambda fed, name, work, held, given: fed.recordings.run(name, work, held, given, CPU)
    )
    found = trained()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert len(fed.recordings._held) == 2
