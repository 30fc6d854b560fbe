"""Every back-end, evaluation, enrolment and resuming on every kind of input."""

import pytest
import torch
from torch import nn

from pfl_bench.api import RequestError, UnsuitedError, register_model
from pfl_bench.client.build import make_model
from pfl_bench.client.model import ClientModel
from pfl_bench.data.inputs import InputSpec
from pfl_bench.registry import METHODS
from pfl_bench.running.job import make_job
from pfl_bench.spec.options import Options
from pfl_bench.spec.scenario import EnrollSpec
from pfl_bench.testing import MODEL_CHECKS, ModelContext, examine
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.kit import ATOL, EVERY_ROUND, RTOL, fingerprint, finish
from pfl_bench.testing.setup import tiny_setup

KINDS = {
    "image": ("synthetic:classes=3,n=180", "mlp"),
    "table": ("synthetic:kind=table,classes=3,n=180", "mlp"),
    "series": ("synthetic:kind=series,classes=3,n=180", "mlp"),
    "tokens": ("synthetic:kind=tokens,classes=3,n=180", "mean_of_words"),
}
GOOD = 75.0
"""Percent that FedAvg reaches on each of them; 33 is chance."""


class MeanOfWords(nn.Module):
    def __init__(self, input, classes):
        super().__init__()
        self.words, self.head = nn.Embedding(input.vocabulary, 16), nn.Linear(16 * input.shape[0], classes)

    def features(self, x):
        return self.words(x).flatten(1)

    def forward(self, x):
        return self.head(self.features(x))


@pytest.fixture(autouse=True)
def words():
    register_model("mean_of_words", inputs=("tokens",))(MeanOfWords)


def setup_of(kind):
    data, model = KINDS[kind]
    return tiny_setup(data, model).but(visits=36)


@pytest.mark.parametrize("kind", KINDS)
def test_loop_vmap_and_graph_agree(kind):
    harnesses = {
        name: Harness("fedper", setup_of(kind), rounds=3, options=Options(backend=name))
        for name in ("loop", "vmap", "graph")
    }
    right = harnesses["loop"]
    assert right.fed.input == right.setup.dataset.input and right.fed.input_shape == right.fed.input.shape
    for name in ("vmap", "graph"):
        for ours, theirs in zip(harnesses[name].tensors(), right.tensors(), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=RTOL, atol=ATOL)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_serial_is_resumed_bitwise_and_learns(kind, backend):
    setup = setup_of(kind)
    job = make_job(setup.spec("fedavg", cohort=6), setup.partition, Options(backend=backend, checkpoint_seconds=0.0))
    whole, checkpoints = finish(job, setup.dataset)
    resumed, _ = finish(job.going_on_from(checkpoints[2]), setup.dataset)
    assert fingerprint(whole) == fingerprint(resumed)
    assert whole.summary["global"]["best"]["accuracy"] > GOOD


@pytest.mark.parametrize("kind", KINDS)
def test_newcomers_are_enrolled(kind):
    data, model = KINDS[kind]
    setup = tiny_setup(data, model, rule={"rule": "iid"}).but(novel=2, enroll=EnrollSpec(steps=5), visits=12)
    setup = type(setup)(setup.scenario, setup.dataset, type(setup.partition)(
        setup.partition.train, setup.partition.validation, setup.partition.test, novel=2))  # fmt: skip
    result, _ = finish(make_job(setup.spec("fedavg_ft"), setup.partition, EVERY_ROUND), setup.dataset)
    assert {row["client"] for row in result.tables["novel"]} == {4, 5}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["mlp", "lenet", "mean_of_words"])
def test_a_model_of_another_kind_is_refused_in_one_line(kind, name):
    spec = {"image": InputSpec("image", (1, 16, 16)), "table": InputSpec("table", (8,)),
            "series": InputSpec("series", (3, 16)), "tokens": InputSpec("tokens", (5,), 9)}[kind]  # fmt: skip
    takes = {"mlp": {"image", "table", "series"}, "lenet": {"image"}, "mean_of_words": {"tokens"}}[name]
    if kind in takes:
        assert isinstance(make_model(name, spec, 3), ClientModel)
        return
    with pytest.raises(RequestError, match=rf"^client model '{name}' does not fit .*\): it takes .* inputs$"):
        make_model(name, spec, 3)


def test_a_model_that_takes_an_unknown_kind_is_refused():
    with pytest.raises(RequestError, match="inputs=.* must be among image, table, series, tokens"):
        register_model("odd", inputs=("sound",))


def test_checks_of_a_model_take_data_of_its_kind():
    context = ModelContext()
    assert context.dataset("mean_of_words").input.kind == "tokens" and context.dataset("lenet").input.kind == "image"
    verdicts = [(check.title, said) for check, said in examine(MODEL_CHECKS, "mean_of_words", context)]
    assert [title for title, said in verdicts if said] == []


@pytest.mark.parametrize("kind", ["table", "series"])
def test_a_method_that_looks_at_samples_itself_takes_rows_and_series(kind):
    Harness("pefll", setup_of(kind), rounds=1)


@pytest.mark.parametrize("method", METHODS.names())
def test_every_method_takes_tokens_or_says_that_it_does_not(method):
    """The kind that is least like an image: whole numbers, with which nothing can be computed."""
    try:
        harness = Harness(method, setup_of("tokens"), rounds=1)
    except UnsuitedError as error:
        assert method == "pefll" and "no tokens" in str(error)
        return
    for moment in harness.method.moments():
        harness.served(moment)
