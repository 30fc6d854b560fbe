import math

import numpy as np
import pytest
import torch

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.inputs import InputSpec, as_input
from pfl_bench.data.making import make_dataset
from pfl_bench.data.pool import FloatPool, ImagePool, TokenPool, make_pool
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError

RNG = np.random.default_rng(0)
LABELS = {"train_labels": np.arange(20) % 4, "test_labels": np.arange(8) % 4}


def of_kind(kind, train, test=None, **options):
    key = "images" if kind == "image" else "inputs"
    arrays = {f"train_{key}": train, f"test_{key}": train[:8] if test is None else test, **LABELS}
    return make_dataset("x", arrays, kind=kind, **options)


def test_a_spec_is_its_shape_to_those_who_iterate():
    channels, height, width = InputSpec("image", (3, 8, 9))
    assert (channels, height, width) == (3, 8, 9) and math.prod(InputSpec("table", (7,))) == 7
    assert as_input((1, 2, 3)) == InputSpec("image", (1, 2, 3)) and len(InputSpec("series", (2, 5))) == 2
    assert str(InputSpec("tokens", (5,), 9)) == "token sequences of shape (5, 9 words)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("sound", (3,)), "kind='sound' must be one of image, table, series, tokens"),
        (("table", (3, 4)), r"shape=\(3, 4\) of kind 'table' must be \(features\)"),
        (("series", (0, 4)), "each 1 or more"),
        (("tokens", (4,)), "vocabulary=0: 1 or more for tokens"),
        (("image", (1, 2, 2), 5), "0 for other kinds"),
    ],
)
def test_wrong_specs_are_named(given, said):
    with pytest.raises(RequestError, match=said):
        InputSpec(*given)


@pytest.mark.parametrize(
    ("kind", "train", "shape"),
    [
        ("image", RNG.normal(5, 3, (20, 6, 7, 5)), (5, 6, 7)),
        ("table", RNG.normal(1e4, 3, (20, 9)), (9,)),
        ("series", RNG.normal(-2, 3, (20, 30, 2)), (2, 30)),
    ],
)
def test_floats_are_standardised_per_channel_or_feature_and_channels_come_first(kind, train, shape):
    dataset = of_kind(kind, train)
    assert dataset.input == InputSpec(kind, shape) and dataset.train_inputs.dtype == np.float32
    pool = make_pool(dataset, "train", torch.device("cpu"))
    assert isinstance(pool, FloatPool) and pool.inputs.data_ptr() == dataset.train_inputs.ctypes.data, "no copy"
    x, y = pool.gather(torch.arange(20).view(4, 5))
    assert (
        x.shape == (4, 5, *shape)
        and x.dtype == torch.float32
        and y.tolist() == LABELS["train_labels"].reshape(4, 5).tolist()
    )
    over = [axis for axis in range(x.dim()) if axis != 2]
    torch.testing.assert_close(x.mean(over), torch.zeros(shape[0]), atol=1e-3, rtol=0)
    torch.testing.assert_close(x.std(over, correction=0), torch.ones(shape[0]), atol=1e-3, rtol=0)
    axes = tuple(range(train.ndim - 1))
    right = (train - train.mean(axes)) / train.std(axes)
    right = np.moveaxis(right, -1, 1) if train.ndim > 2 else right
    np.testing.assert_allclose(x.flatten(0, 1).numpy(), right, atol=1e-3)
    assert torch.equal(pool.gather(torch.tensor([3]))[0][0], x[0, 3]), "gathering changes nothing in the pool"


@pytest.mark.parametrize(("vocabulary", "dtype"), [(200, np.uint8), (70000, np.int32)])
def test_tokens_are_gathered_as_they_are(vocabulary, dtype):
    tokens = RNG.integers(0, vocabulary, (20, 6))
    dataset = of_kind("tokens", tokens, vocabulary=vocabulary)
    assert dataset.train_inputs.dtype == dtype and dataset.mean == () and dataset.input.vocabulary == vocabulary
    pool = make_pool(dataset, "train", torch.device("cpu"))
    x, _ = pool.gather(torch.tensor([[4], [1]]))
    assert (
        isinstance(pool, TokenPool)
        and x.dtype == torch.int64
        and x.tolist() == [[tokens[4].tolist()], [tokens[1].tolist()]]
    )


def test_uint8_images_are_gathered_as_ever():
    images = RNG.integers(0, 256, (20, 4, 5, 3), dtype=np.uint8)
    dataset = make_dataset("x", {"train_images": images, "test_images": images[:8], **LABELS})
    pool = make_pool(dataset, "train", torch.device("cpu"))
    assert isinstance(pool, ImagePool) and pool.inputs.data_ptr() == dataset.train_inputs.ctypes.data
    mean, std = (np.asarray(figures, np.float32) for figures in (dataset.mean, dataset.std))
    right = images * (1 / (255 * std)) - mean / std
    np.testing.assert_allclose(pool.gather(torch.arange(20))[0].numpy(), right.transpose(0, 3, 1, 2), atol=1e-5)
    assert dataset.facts.keys() == {"classes", "mean", "std", "validation_share"}, "what is recorded of images stays"


def test_what_is_constant_gets_deviation_1_and_what_is_recorded_of_many_features_is_a_hash():
    table = np.concatenate([np.full((20, 1), 0.1), RNG.normal(size=(20, 30))], axis=1)
    dataset = of_kind("table", table)
    assert dataset.std[0] == 1.0 and dataset.mean[0] == pytest.approx(0.1)
    assert dataset.facts["mean"].startswith("SHA-256 ") and dataset.facts["input"] == {"kind": "table", "vocabulary": 0}


@pytest.mark.parametrize(
    ("kind", "train", "options", "said"),
    [
        ("table", np.zeros((20, 3, 3)), {}, r"must have shape \[N, features\]"),
        ("table", np.full((20, 3), "a"), {}, "must be numbers"),
        ("table", np.full((20, 3), np.inf), {}, "infinite values"),
        ("table", np.full((20, 3), 1e300), {}, "beyond float32"),
        ("table", np.full((20, 3), np.nan), {}, r"missing values \(NaN\), 84 in all"),
        ("table", np.full((20, 3), np.nan), {"missing": "mean"}, "feature 0 has no value in the training samples"),
        ("table", 1.7e18 + np.arange(60.0).reshape(20, 3) * 1e9, {}, "feature 0, goes from .* subtract"),
        ("table", np.zeros((20, 0)), {}, "is empty"),
        ("series", np.zeros((20, 3)), {}, r"must have shape \[N, time, channels\]"),
        ("tokens", np.zeros((20, 3)), {"vocabulary": 5}, r"whole numbers of shape \[N, length\], found float64"),
        ("tokens", np.arange(60).reshape(20, 3), {"vocabulary": 59}, "values from 0 to 59; tokens go .* 58"),
        ("image", np.zeros((20, 3, 3, 2), np.int32), {}, "must be uint8 or float"),
        (None, np.zeros((20, 3, 32, 32), np.float32), {}, r"channels go last: x.transpose\(0, 2, 3, 1\)"),
        (None, np.zeros((20, 5, 5, 4), np.uint8), {}, "drop the transparency"),
    ],
)  # fmt: skip
def test_inputs_that_do_not_fit_are_named(kind, train, options, said):
    key = "images" if kind in (None, "image") else "inputs"
    arrays = {f"train_{key}": train, f"test_{key}": train[:8], **LABELS}
    with pytest.raises(RequestError, match=said):
        make_dataset("x", arrays, kind=kind, **options)


def test_missing_values_are_filled_with_the_training_mean_and_told():
    train, test = RNG.normal(size=(20, 3)), RNG.normal(size=(8, 3))
    train[3, 1] = train[4, 1] = test[0, 2] = np.nan
    dataset = of_kind("table", train, test, missing="mean")
    assert dataset.notes == ("3 missing values in 2 features are filled with the training mean",)
    assert dataset.train_inputs[3, 1] == pytest.approx(np.nanmean(train[:, 1]))
    assert dataset.test_inputs[0, 2] == pytest.approx(train[:, 2].mean())


def test_arrays_that_would_be_misread_are_refused_where_no_check_is_between():
    """Float features as a plug-in may hand them over: they were divided by 255 once, and scored 10 %."""
    good = load_dataset("synthetic:n=60,classes=3")
    wrong = [
        {"train_inputs": good.train_inputs.astype(np.float64)},
        {"train_inputs": good.train_inputs.reshape(len(good.train_inputs), -1).astype(np.float32)},
        {"test_inputs": good.test_inputs.transpose(0, 3, 1, 2)},
        {"input": InputSpec("table", (64,))},
        {"mean": (0.5, 0.5)},
    ]
    fields = {name: getattr(good, name) for name in good.__dataclass_fields__}
    for change in wrong:
        with pytest.raises(RequestError, match="synthetic: "):
            ArrayDataset(**{**fields, **change})


def test_a_validation_part_stands_behind_the_training_samples_and_is_not_measured():
    arrays = {"train_inputs": np.arange(40.0).reshape(20, 2), "validation_inputs": np.full((4, 2), 1000.0), **LABELS}
    arrays |= {"test_inputs": np.zeros((8, 2)), "validation_labels": np.asarray([0, 1, 2, 3])}
    dataset = make_dataset("x", arrays, kind="table")
    assert dataset.validation is not None and np.flatnonzero(dataset.validation).tolist() == [20, 21, 22, 23]
    assert len(dataset.train_labels) == 24 and dataset.mean == (19.0, 20.0)
    other = make_dataset("x", {**arrays, "validation_labels": np.asarray([0, 1, 2, 2])}, kind="table")
    assert other.sha256 != dataset.sha256
    del arrays["validation_labels"]
    with pytest.raises(RequestError, match="'validation_labels' is missing"):
        make_dataset("x", arrays, kind="table")
    with pytest.raises(RequestError, match="validation_labels has class 7 1 time and train_labels never"):
        make_dataset("x", {**arrays, "validation_labels": np.asarray([0, 1, 2, 7])}, kind="table")
