"""Shipped client models: their sizes as their summaries have them, what they take, and what they compute."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from pfl_bench.client.build import make_model
from pfl_bench.data.inputs import InputSpec
from pfl_bench.errors import RequestError
from pfl_bench.registry import MODELS, base_name
from pfl_bench.running.notes import method_notes
from pfl_bench.testing.setup import tiny_setup

CIFAR, GREY, SMALL = InputSpec("image", (3, 32, 32)), InputSpec("image", (1, 28, 28)), InputSpec("image", (3, 16, 16))
TEXTS, SHAKESPEARE = InputSpec("tokens", (64,), 10_000), InputSpec("tokens", (80,), 80)
SIZES = {
    "cnn": (CIFAR, 10, 878_538),
    "logistic": (GREY, 10, 7_850),
    "resnet8-gn": (CIFAR, 10, 78_042),
    "resnet8-bn": (CIFAR, 10, 78_042),
    "resnet18-gn": (CIFAR, 10, 11_173_962),
    "resnet18-bn": (CIFAR, 10, 11_173_962),
    "har-cnn": (InputSpec("series", (9, 128)), 6, 2_253_958),
    "text-mean": (TEXTS, 4, 321_188),
    "text-cnn": (TEXTS, 4, 1_121_504),
    "char-lstm": (SHAKESPEARE, 80, 819_920),
    "lenet": (CIFAR, 10, 121_182),
}


@pytest.mark.parametrize("name", SIZES)
def test_its_summary_says_how_many_weights_it_has(name):
    spec, classes, size = SIZES[name]
    entry = MODELS.entry(name)
    module = entry.value(spec, classes)
    assert sum(p.numel() for p in module.parameters()) == size
    assert f"{size:,} weights" in entry.info["summary"]
    assert spec.kind in entry.info["inputs"].split(",")


@pytest.mark.parametrize(
    ("name", "spec", "said"),
    [
        ("cnn", InputSpec("image", (1, 15, 16)), "images of 15x16 pixels are too small; 16x16 is the least"),
        ("har-cnn", InputSpec("series", (3, 27)), "series of 27 steps are too short; 28 is the least"),
        ("text-cnn", InputSpec("tokens", (4,), 9), "texts of 4 words are too short; 5 is the least"),
        ("char-lstm", GREY, "it takes tokens inputs"),
        ("torchvision", CIFAR, "needs an argument: torchvision:NAME or NAME?norm=group"),
        ("cnn:wide", CIFAR, "client model 'cnn' takes no argument, found 'wide'"),
        ("torchvision:resnet81", CIFAR, "torchvision has no classifier 'resnet81'; did you mean 'resnet"),
        ("torchvision:resnet18?norm=layer", CIFAR, "'norm=layer' must be norm=batch or norm=group"),
        ("torchvision:resnet18?groups=2", CIFAR, "'groups=2' must be norm=batch or norm=group"),
        ("torchvision:squeezenet1_0", CIFAR, "its last layer is no linear one but classifier.1, a Conv2d"),
        ("torchvision:resnet18", InputSpec("image", (4, 32, 32)), "these have 4"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(name, spec, said):
    with pytest.raises(RequestError) as refused:
        make_model(name, spec, 3)
    assert said in str(refused.value) and "\n" not in str(refused.value)


def test_the_shortest_inputs_fit():
    assert make_model("har-cnn", InputSpec("series", (3, 28)), 3).feature_size == 512
    assert make_model("cnn", InputSpec("image", (1, 16, 16)), 3).feature_size == 512
    assert make_model("text-cnn", InputSpec("tokens", (5,), 9), 3).feature_size == 300


def test_the_four_layer_networks_relu_may_come_after_pooling():
    """PFLlib's order is convolution, ReLU, pooling; the function is the same."""
    model = make_model("cnn", SMALL, 3)
    p, x = model.init(0), torch.randn(4, 3, 16, 16)
    y = F.max_pool2d(F.relu(F.conv2d(x, p["conv1.weight"], p["conv1.bias"])), 2)
    y = F.max_pool2d(F.relu(F.conv2d(y, p["conv2.weight"], p["conv2.bias"])), 2).flatten(1)
    y = F.relu(F.linear(y, p["fc.weight"], p["fc.bias"]))
    y = F.linear(y, p["head.weight"], p["head.bias"])
    torch.testing.assert_close(model.evaluating()(p, x), y)


@pytest.mark.parametrize("name", ["text-mean", "text-cnn"])
def test_padding_adds_nothing_to_a_text(name):
    """Of words behind a text only the padding's vector is left out, so another padding vector changes nothing."""
    model = make_model(name, InputSpec("tokens", (12,), 9), 3)
    params, x = model.init(0), torch.randint(1, 9, (5, 12))
    x[:, 8:] = 0
    before = model.evaluating()(params, x)
    params["embedding.weight"] = params["embedding.weight"].clone().index_fill_(0, torch.tensor([0]), 7.0)
    assert torch.equal(model.evaluating()(params, x), before)
    assert torch.isfinite(model.evaluating()(params, x * 0)).all(), "a text of nothing"


def test_a_mean_of_words_is_over_the_words():
    model = make_model("text-mean", InputSpec("tokens", (6,), 9), 3)
    params, x = model.init(0), torch.tensor([[3, 5, 0, 0, 0, 0]])
    mean = params["embedding.weight"][[3, 5]].mean(0)
    features = F.linear(mean, params["fc.weight"], params["fc.bias"])
    torch.testing.assert_close(model.evaluating().features(params.only(model.body), x)[0], features)


def test_norms_are_known_by_their_type():
    """FedBN keeps what ``norms`` names; with GroupNorm it has nothing to keep, and a run says so."""
    with_batch, with_group = (make_model(f"resnet8-{norm}", SMALL, 3) for norm in ("bn", "gn"))
    assert len({name.rpartition(".")[0] for name in with_batch.norms}) == 9, "a stem, three blocks, two projections"
    assert {"stage2.0.projection.1.running_mean", "stem.1.weight"} <= with_batch.norms
    assert not with_group.norms and not with_group.buffers and not with_group.mixes_samples
    assert [layer[0].split(".")[0] for layer in with_batch.layers] == ["stem", "stage1", "stage2", "stage3", "head"]
    said = {}
    for name in ("resnet8-bn", "resnet8-gn"):
        setup = tiny_setup("synthetic:classes=3,n=120,side=16,channels=3", name, {"rule": "iid"}, clients=4)
        plan = SimpleNamespace(runs=[setup.spec("fedbn")], datasets={setup.scenario.dataset: setup.dataset})
        said[name] = method_notes(plan)
    assert said == {
        "resnet8-bn": [],
        "resnet8-gn": ["fedbn is FedAvg with the client model resnet8-gn, which has no BatchNorm layers"],
    }


@pytest.mark.parametrize(
    ("norm", "kind"), [("", "BatchNorm2d"), ("?norm=batch", "BatchNorm2d"), ("?norm=group", "GroupNorm")]
)
def test_torchvisions_networks_have_the_norm_that_was_asked_for(norm, kind):
    model = make_model(f"torchvision:resnet18{norm}", SMALL, 3)
    kinds = {type(part).__name__ for part in model.module.modules()}
    assert kinds & {"BatchNorm2d", "GroupNorm"} == {kind} and bool(model.norms) == (kind == "BatchNorm2d")
    assert model.head == {"head.weight", "head.bias"} and model.feature_size == 512
    assert len(model.layers) == 7, "a convolution, a norm, four stages, a head"
    assert model.name == f"torchvision:resnet18{norm}"


def test_grey_images_are_given_to_three_channels():
    model = make_model("torchvision:shufflenet_v2_x0_5?norm=group", InputSpec("image", (1, 32, 32)), 3)
    params, x = model.init(0), torch.randn(2, 1, 32, 32)
    grey = model.evaluating()(params, x)
    features = model.evaluating().features(params.only(model.body), x.expand(-1, 3, -1, -1))
    assert features.shape == (2, 1024)
    assert torch.equal(model.evaluating().head(params.only(model.head), features), grey)


def test_the_name_of_a_member_is_that_of_its_family():
    assert base_name("torchvision:resnet18?norm=group") == "torchvision" and base_name("mlp") == "mlp"
    assert MODELS.entry("torchvision").info["example"].startswith("torchvision:")
