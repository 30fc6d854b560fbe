import pytest
import torch

from pfl_bench.backends import BACKENDS, choose_backend
from pfl_bench.client_model import make_model
from pfl_bench.errors import RequestError
from pfl_bench.params import Params, squared_distance, zeros_like
from pfl_bench.pool import ImagePool
from pfl_bench.training import BatchPlan, Sgd, TrainRequest, cross_entropy

MODEL = make_model("mlp", (1, 4, 4), 3)
CONV = make_model("lenet7", (3, 16, 16), 3)


def pool(shape=(40, 4, 4, 1)) -> ImagePool:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    labels = torch.randint(0, 3, shape[:1], generator=generator)
    ones = (0.5,) * shape[-1]
    return ImagePool.of(images.numpy(), labels.numpy(), ones, ones, torch.device("cpu"))


def request(model=MODEL, clients=3, **changes) -> TrainRequest:
    params = Params({k: torch.stack([v * (1 + 0.1 * c) for c in range(clients)]) for k, v in model.init(0).items()})
    generator = torch.Generator().manual_seed(1)
    plan = BatchPlan(
        torch.randint(0, 40, (clients, 4, 2, 6), generator=generator),
        torch.tensor([[[6, 6]] * 4, [[1, 2]] * 4, [[3, 6], [6, 1], [2, 2], [5, 5]]])[:clients],
    )
    base = {
        "params": params,
        "plan": plan,
        "sgd": Sgd(0.1, 0.9, 1e-3, 0.5),
        "trainable": tuple(params),
        "momentum": zeros_like(params),
    }
    return TrainRequest(**{**base, **changes})


def prox(apply, params, batch, aux):
    return cross_entropy(apply, params, batch) + 0.3 * squared_distance(params, aux)


def two_step_rule(gradient, params, batches, aux, memory):
    """Uses both batches and carries a running mean."""
    first = gradient(params, batches[0])
    second = gradient({k: v - 0.1 * first[k] for k, v in params.items()}, batches[1])
    memory = {k: 0.5 * memory[k] + second[k] for k in second}
    return memory, {k: v.clone() for k, v in memory.items()}


def variants(model):
    base = request(model)
    return {
        "plain": request(model),
        "proximal": request(model, loss=prox, aux=dict(base.params)),
        "rule": request(model, rule=two_step_rule, memory=dict(zeros_like(base.params))),
        "head only": request(model, trainable=tuple(model.head), momentum=zeros_like(base.params.only(model.head))),
        "carried momentum": request(model, momentum=base.params.map(torch.ones_like)),
    }


@pytest.mark.parametrize("model", [MODEL, CONV], ids=["dense", "convolutional"])
@pytest.mark.parametrize("name", ["plain", "proximal", "rule", "head only", "carried momentum"])
def test_vmap_is_loop(model, name):
    data = pool((40, 16, 16, 3)) if model is CONV else pool()
    results = [BACKENDS[b].train(model, data, variants(model)[name]) for b in ("loop", "vmap")]
    for field in ("params", "momentum"):
        loop, vmap = (getattr(r, field) for r in results)
        assert list(loop) == list(vmap)
        for key in loop:
            torch.testing.assert_close(loop[key], vmap[key], rtol=1e-4, atol=1e-5)
    if name == "rule":
        for key, value in results[0].memory.items():
            torch.testing.assert_close(value, results[1].memory[key], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("backend", ["loop", "vmap"])
def test_what_is_not_trainable_stays_and_inputs_are_left_alone(backend):
    own = request(trainable=tuple(MODEL.head), momentum=zeros_like(request().params.only(MODEL.head)))
    before = own.params.map(torch.clone)
    trained = BACKENDS[backend].train(MODEL, pool(), own)
    for key in own.params:
        assert torch.equal(own.params[key], before[key])
        assert torch.equal(trained.params[key], before[key]) == (key not in MODEL.head)


def test_logits_agree():
    params, x = request().params, torch.randn(3, 5, 1, 4, 4)
    torch.testing.assert_close(BACKENDS["loop"].logits(MODEL, params, x), BACKENDS["vmap"].logits(MODEL, params, x))


def test_choice():
    cpu = torch.device("cpu")
    assert choose_backend("auto", CONV, cpu).name == "loop"
    assert "vmap" in choose_backend("auto", MODEL, cpu).name
    assert choose_backend("auto", CONV, torch.device("cuda")).name == "vmap"
    with pytest.raises(RequestError, match="unknown backend 'lop': did you mean 'loop'"):
        choose_backend("lop", MODEL, cpu)


def test_auto_on_dense_models_is_the_loop_for_one_client():
    single = request(clients=1)
    auto = choose_backend("auto", MODEL, torch.device("cpu")).train(MODEL, pool(), single)
    loop = BACKENDS["loop"].train(MODEL, pool(), single)
    assert all(torch.equal(auto.params[k], loop.params[k]) for k in loop.params)
