"""Clients with different models: one federation per model; a joint method has one state for all."""

import pytest
import torch

from pfl_bench.engine.federation import Federation
from pfl_bench.registry import METHODS
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import EVERY_ROUND, fingerprint, finish
from pfl_bench.testing.setup import TinySetup, tiny_setup


def mixed(models=("lenet7", "mlp")) -> TinySetup:
    return tiny_setup("synthetic:classes=3,n=180,side=16", clients=7).but(model=models, local_steps=6)


def job(setup: TinySetup, method: str, options: Options | None = None):
    return make_job(setup.spec(method), setup.partition, options or Options())


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_runs_and_resumes(method):
    setup = mixed()
    whole, checkpoints = finish(job(setup, method, EVERY_ROUND), setup.dataset)
    assert sorted({row["client"] for row in whole.clients}) == list(range(7))
    if method == "feddbe":  # its initial round takes the whole of so short a run
        assert not checkpoints
        return
    resumed, _ = finish(job(setup, method).going_on_from(checkpoints[len(checkpoints) // 2]), setup.dataset)
    assert fingerprint(whole) == fingerprint(resumed)


def test_local_is_the_same_whatever_the_others_have():
    """Local's client 0 trains alike in a federation of equals and beside clients with other models."""
    several, _ = finish(job(mixed(("mlp", "lenet7")), "local"), mixed().dataset)
    equal, _ = finish(job(mixed("mlp"), "local"), mixed().dataset)

    def scores(result):
        return {r["client"]: r["test_correct"] for r in result.clients if r["selection"] == "last"}

    assert {c: n for c, n in scores(several).items() if c % 2 == 0} == {
        c: n for c, n in scores(equal).items() if c % 2 == 0
    }


def test_a_result_names_what_computes_each_model():
    dense = "vmap, loop for single clients"
    both = f"loop; {dense}"
    expected = {("mlp", "lenet7"): both, ("lenet7", "mlp"): both, "mlp": dense, "lenet7": "loop"}
    assert {own: finish(job(mixed(own), "local"), mixed().dataset)[0].facts["backend"] for own in expected} == expected


def test_one_hypernetwork_generates_every_model():
    harness = Harness("pfedhn", mixed())
    method, state = harness.method, harness.state
    assert len(state.phi["embedding"]) == 7
    feds = [Federation(place.group, harness.costs, "train", 10) for place in harness.places]
    for fed in feds:
        sent = method.client_params(fed, state, torch.arange(2))
        assert {name: tensor.shape[1:] for name, tensor in sent.items()} == fed.model.shapes
    before = state.phi["head.mlp.head.bias.bias"].clone(), state.phi["embedding"].clone()
    method.round(feds[1], state, torch.tensor([1]))
    moved = (state.phi["embedding"] - before[1]).abs().sum(1) > 0.01 * before[1].abs().sum(1)
    assert not torch.equal(state.phi["head.mlp.head.bias.bias"], before[0])
    assert moved.nonzero().flatten().tolist() in ([3], []), "client 1 of the second model is number 3 of all"
