"""Client models as data: names, shapes, body and head; and which modules are refused."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pfl_bench.client.build import make_model, register_model
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
    h = F.max_pool2d(F.relu(F.conv2d(x, params["conv1.weight"], params["conv1.bias"])), 2)
    h = F.max_pool2d(F.relu(F.conv2d(h, params["conv2.weight"], params["conv2.bias"])), 2).flatten(1)
    for layer in ("fc1", "fc2"):
        h = F.relu(F.linear(h, params[f"{layer}.weight"], params[f"{layer}.bias"]))
    net = model.evaluating()
    torch.testing.assert_close(net.features(params, x), h)
    torch.testing.assert_close(net(params, x), F.linear(h, params["head.weight"], params["head.bias"]))


def test_bf16_gives_float_logits_near_fp32():
    full, half = (make_model("mlp", (1, 8, 8), 10, precision) for precision in ("fp32", "bf16"))
    params, x = full.init(0), torch.randn(16, 1, 8, 8)
    rounded, exact = half.evaluating()(params, x), full.evaluating()(params, x)
    assert rounded.dtype == torch.float32
    torch.testing.assert_close(rounded, exact, rtol=0.05, atol=0.05)


def test_the_same_request_gives_the_same_object():
    """Runs share traces by their client model, so it must be one object."""
    assert make_model("mlp", (1, 8, 8), 10) is make_model("mlp", (1, 8, 8), 10)
    assert make_model("mlp", (1, 8, 8), 10) is not make_model("mlp", (1, 8, 8), 3)


def register(name, make, **info):
    register_model(name, **info)(make)
    return name


def normed(input_shape, classes):
    body = nn.Sequential(nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6), nn.ReLU(), nn.Dropout(0.5))
    body[1].bias.requires_grad_(False)
    return nn.Sequential(body, nn.Linear(6, classes))


def test_frozen_parameters_buffers_and_norms_know_their_names():
    model = make_model(register("normed", normed), (1, 4, 4), 3)
    assert model.buffers == {"0.2.running_mean", "0.2.running_var"}, "the counter of batches stays with the module"
    assert model.norms == {"0.2.weight", "0.2.bias"} | model.buffers
    assert "0.1.bias" not in model.trainable and "0.1.weight" in model.trainable
    assert model.trainable | model.buffers | {"0.1.bias"} == model.names == set(model.init(0))
    assert model.head == {"1.weight", "1.bias"} and model.body == model.names - model.head
    assert set(model.shapes) == model.trainable
    assert model.size == 16 * 6 + 6 + 2 * 6 + 6 * 3 + 3, "buffers are no weights"
    assert model.random and model.mixes_samples and not model.convolutional


def with_body(input_shape, classes):
    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 5))
            self.head = nn.Linear(5, classes)

        def forward(self, x):
            return self.head(self.body(x))

    return Model()


def test_layers_of_a_body_are_looked_into():
    model = make_model(register("with_body", with_body), (1, 4, 4), 3)
    assert model.top(1) == {"head.weight", "head.bias"} == model.head
    assert model.top(2) == model.head | {"body.3.weight", "body.3.bias"}


class Recurrent(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.rows, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, classes)

    def features(self, x):
        return self.rows(x.flatten(1, 2))[0][:, -1]

    def forward(self, x):
        return self.head(self.features(x))


def test_a_recurrent_model_needs_the_loop_and_others_may_ask_for_it():
    assert make_model(register("lstm", lambda shape, classes: Recurrent(classes)), (1, 4, 4), 3).backend == "loop"
    assert make_model(register("looped", with_body, backend="loop"), (1, 4, 4), 3).backend == "loop"
    assert make_model("mlp", (1, 4, 4), 3).backend == ""


def sequential(*layers):
    return lambda shape, classes: nn.Sequential(nn.Flatten(), *layers, nn.Linear(16, classes))


class Functional(nn.Module):
    """Dropout that no module tells of."""

    def __init__(self, drop, classes):
        super().__init__()
        self.drop, self.head = drop, nn.Linear(16, classes)

    def features(self, x):
        return self.drop(x.flatten(1), self.training)

    def forward(self, x):
        return self.head(self.features(x))


def test_randomness_is_noticed_without_a_module():
    def factory(shape, classes):
        return Functional(lambda x, training: F.dropout(x, 0.5, training), classes)

    assert make_model(register("functional", factory), (1, 4, 4), 3).random
    assert not make_model("mlp", (1, 4, 4), 3).random


def add_noise(x, training):
    return x + training * torch.rand(16)


class Lying(nn.Module):
    """Its head is not what it applies last."""

    def __init__(self, classes):
        super().__init__()
        self.head = nn.Linear(16, classes)

    def features(self, x):
        return x.flatten(1)

    def forward(self, x):
        return 2 * self.head(x.flatten(1))


class Headless(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.last = nn.Linear(16, classes)

    def forward(self, x):
        return self.last(x.flatten(1))


def particular(shape):
    """A network that asserts what it is given, as vision transformers do."""
    assert shape[1] == 224, "Wrong image height"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Linear(16, classes + 1)), r"\(3, 4\) for 3 samples"),
        (lambda shape, classes: nn.Sequential(nn.Linear(4, 4), nn.Linear(4, classes)), r"has shape \(3, 1, 4, 3"),
        (lambda shape, classes: Lying(classes), "its head applied to its features is not its output"),
        (lambda shape, classes: Headless(classes), "it must say what its head is"),
        (sequential(nn.BatchNorm1d(16, momentum=None)), "momentum=None counts batches"),
        (sequential(nn.Linear(9, 16)), "mat1 and mat2"),
        (lambda shape, classes: Functional(add_noise, classes), "random numbers of its own"),
        (lambda shape, classes: particular(shape), "Wrong image height"),
    ],
)  # fmt: skip
def test_what_breaks_the_contract_is_refused(factory, said):
    with pytest.raises(RequestError, match=rf"'odd' does not fit images of shape \(1, 4, 4\): .*{said}"):
        make_model(register("odd", factory), (1, 4, 4), 3)


def test_models_that_do_not_fit_are_refused():
    with pytest.raises(RequestError, match=r"'lenet' does not fit images of shape \(1, 8, 8\).*16x16 is the least"):
        make_model("lenet", (1, 8, 8), 10)
