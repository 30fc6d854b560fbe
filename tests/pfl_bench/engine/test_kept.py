"""Models that a run leaves are those that its last scores are of."""

import json

import pytest
import safetensors
import torch

from pfl_bench.engine.events import RunResult
from pfl_bench.engine.kept import HEADER, load_model
from pfl_bench.engine.places import build_places
from pfl_bench.errors import RequestError
from pfl_bench.running.job import make_job, run_job
from pfl_bench.spec.options import Options
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.testing.setup import tiny_setup

SETUP = tiny_setup()


def kept(method, tmp_path, **scenario):
    spec = RunSpec(method, make_config(method, {}, "t"), SETUP.scenario.model_copy(update=scenario), 0)
    job = make_job(spec, SETUP.partition, Options(keep_models=True))
    *_, result = run_job(job, SETUP.dataset)
    assert isinstance(result, RunResult) and result.status == "finished"
    file = tmp_path / "models.safetensors"
    file.write_bytes(result.models)
    return spec, result, file


@pytest.mark.parametrize("method", ["fedavg", "ditto", "fedavg_ft", "pfedhn"])
@pytest.mark.parametrize("model", ["mlp", ("mlp", "logistic")])
def test_a_client_s_model_has_the_scores_of_the_end(method, model, tmp_path):
    spec, result, file = kept(method, tmp_path, model=model)
    last = {row["client"]: row["test_correct"] for row in result.clients
            if (row["moment"], row["selection"]) == (result.facts["official_moment"], "last")}  # fmt: skip
    for place in build_places(spec, SETUP.dataset, SETUP.partition, Options()):
        for row, client in enumerate(place.group.numbers):
            x, y = place.test.pool.gather(place.test.indices[row])
            with torch.no_grad():
                right = load_model(file, client)(x).argmax(-1) == y
            assert int((right & place.test.real[row]).sum()) == last[client]


def test_a_global_model_is_kept_once(tmp_path):
    with safetensors.safe_open(kept("fedavg", tmp_path)[2], framework="pt") as opened:
        assert {opened.get_tensor(name).shape[0] for name in opened.keys()} == {1}  # noqa: SIM118
        assert json.loads(opened.metadata()[HEADER])["shared"] is True


def test_keeping_models_changes_no_number(tmp_path):
    spec, result, _ = kept("ditto", tmp_path)
    *_, plain = run_job(make_job(spec, SETUP.partition, Options()), SETUP.dataset)
    assert (plain.models, plain.clients, plain.summary) == (None, result.clients, result.summary)


def test_prediction_that_is_more_than_a_model_is_refused(tmp_path):
    _, _, file = kept("knn_per", tmp_path)
    with pytest.raises(RequestError, match="knn_per predicts by .* more than a model's forward pass"):
        load_model(file, 0)


@pytest.mark.parametrize("content", [b"", b"x" * 100])
def test_a_file_of_something_else_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(RequestError, match="holds no models that a run has kept"):
        load_model(tmp_path / "m", 0)
