import pytest
import torch
from torch import nn

from pfl_bench.client.model import make_model, register_model
from pfl_bench.errors import RequestError


@pytest.mark.parametrize(
    ("name", "shape", "classes", "size"),
    [
        ("lenet", (3, 32, 32), 10, 121_182),  # paper_pfedhn.md, section 4
        ("lenet", (3, 32, 32), 100, 128_832),
        ("lenet7", (1, 28, 28), 10, 7 * 26 + 14 * 176 + 120 * (14 * 16 + 1) + 84 * 121 + 10 * 85),
        ("mlp", (1, 8, 8), 10, 64 * 65 + 10 * 65),
    ],
)
def test_sizes(name, shape, classes, size):
    assert make_model(name, shape, classes).size == size


def test_body_and_head_of_the_paper():
    model = make_model("lenet", (3, 32, 32), 10)
    params = model.init(0)
    body = sum(t.numel() for t in params.without(model.head).values())
    assert (body, model.size - body, model.feature_size) == (120_332, 850, 84)
    assert model.top(0) == frozenset()
    assert model.top(1) == model.head
    assert model.top(2) == model.head | {"fc2.weight", "fc2.bias"}
    assert model.top(99) == frozenset(params)


def test_initial_weights_depend_on_the_seed_alone():
    model = make_model("mlp", (1, 8, 8), 10)
    torch.manual_seed(1)
    state = torch.get_rng_state()
    a, b, c = model.init(0), model.init(0), model.init(1)
    assert torch.equal(torch.get_rng_state(), state), "the caller's random stream is left alone"
    assert torch.equal(a["hidden.weight"], b["hidden.weight"])
    assert not torch.equal(a["hidden.weight"], c["hidden.weight"])


def test_relu_after_pooling_is_relu_before_pooling():
    model = make_model("lenet", (3, 32, 32), 10)
    params, x = model.init(0), torch.randn(4, 3, 32, 32)
    f = torch.nn.functional
    h = f.max_pool2d(f.relu(f.conv2d(x, params["conv1.weight"], params["conv1.bias"])), 2)
    h = f.max_pool2d(f.relu(f.conv2d(h, params["conv2.weight"], params["conv2.bias"])), 2).flatten(1)
    for layer in ("fc1", "fc2"):
        h = f.relu(f.linear(h, params[f"{layer}.weight"], params[f"{layer}.bias"]))
    expected = f.linear(h, params["classifier.weight"], params["classifier.bias"])
    torch.testing.assert_close(model.apply(params, x), expected)


def test_bf16_gives_float_logits_near_fp32():
    full, half = (make_model("mlp", (1, 8, 8), 10, precision) for precision in ("fp32", "bf16"))
    params, x = full.init(0), torch.randn(16, 1, 8, 8)
    assert half.apply(params, x).dtype == torch.float32
    torch.testing.assert_close(half.apply(params, x), full.apply(params, x), rtol=0.05, atol=0.05)


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(RequestError, match=r"'lenet' does not fit images of shape \(1, 8, 8\).*16x16 is the least"):
        make_model("lenet", (1, 8, 8), 10)

    @register_model("with_buffers")
    def with_buffers(input_shape, classes):
        return nn.Sequential(nn.Flatten(), nn.BatchNorm1d(64), nn.Linear(64, classes))

    with pytest.raises(RequestError, match="it has buffers"):
        make_model("with_buffers", (1, 8, 8), 10)
