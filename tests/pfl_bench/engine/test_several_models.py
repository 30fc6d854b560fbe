"""Clients with different models: one federation per model; a joint method has one state for all."""

from dataclasses import replace

import pytest
import torch

from pfl_bench.engine.places import build_federations
from pfl_bench.registry import METHODS
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.testing.kit import Arena, fingerprint, finish, tiny_arena

MODELS = ("lenet7", "mlp")


def arena(models=MODELS) -> Arena:
    base = tiny_arena("synthetic:classes=3,n=180,side=16", clients=7)
    scenario = base.scenario.model_copy(update={"model": models, "local_steps": 10})
    return Arena(scenario, base.dataset, base.partition)


def job(place: Arena, method: str, options: Options | None = None):
    return make_job(replace(place.spec(method), scenario=place.scenario), place.partition, options or Options())


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_runs_and_resumes(method):
    place = arena()
    whole, checkpoints = finish(job(place, method, Options(checkpoint_seconds=0.0)), place.dataset)
    assert sorted({row["client"] for row in whole.clients}) == list(range(7))
    resumed, _ = finish(job(place, method).going_on_from(checkpoints[len(checkpoints) // 2]), place.dataset)
    assert fingerprint(whole) == fingerprint(resumed)


def test_clients_take_models_in_turn():
    place = arena()
    spec = replace(place.spec("fedavg"), scenario=place.scenario)
    feds = build_federations(spec, place.dataset, place.partition, torch.device("cpu"))
    assert [fed.model.name for fed in feds] == ["lenet7", "mlp"]
    assert [fed.numbers for fed in feds] == [(0, 2, 4, 6), (1, 3, 5)]
    for fed in feds:
        assert all((own == place.partition.train[n]).all() for own, n in zip(fed.members, fed.numbers, strict=True))


def test_local_is_the_same_whatever_the_others_have():
    """Local's client 0 trains alike in a federation of equals and beside clients with other models."""
    mixed, _ = finish(job(arena(("mlp", "lenet7")), "local"), arena().dataset)
    equal, _ = finish(job(arena("mlp"), "local"), arena().dataset)

    def scores(result):
        return {r["client"]: r["test_correct"] for r in result.clients if r["selection"] == "last"}

    assert {c: n for c, n in scores(mixed).items() if c % 2 == 0} == {
        c: n for c, n in scores(equal).items() if c % 2 == 0
    }


def test_one_hypernetwork_generates_every_model():
    place = arena()
    spec = replace(place.spec("pfedhn"), scenario=place.scenario)
    feds = build_federations(spec, place.dataset, place.partition, torch.device("cpu"))
    method = METHODS.get("pfedhn")(spec.config)
    state = method.init(feds[0])
    assert len(state.phi["embedding"]) == 7
    for fed in feds:
        sent = method.client_params(fed, state, torch.arange(2))
        assert {name: tensor.shape[1:] for name, tensor in sent.items()} == fed.model.shapes
    before = state.phi["head.mlp.classifier.bias.bias"].clone(), state.phi["embedding"].clone()
    method.round(feds[1], state, torch.tensor([1]))
    moved = (state.phi["embedding"] - before[1]).abs().sum(1) > 0.01 * before[1].abs().sum(1)
    assert not torch.equal(state.phi["head.mlp.classifier.bias.bias"], before[0])
    assert moved.nonzero().flatten().tolist() in ([3], []), "client 1 of the second model is number 3 of all"
