"""``npz:`` in the shapes in which arrays lie around."""

import numpy as np
import pytest

from pfl_bench.data.store import load_dataset

from .broken import assert_refused

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)
Y = np.arange(40) % 4
NAMES = np.asarray(["ant", "bee", "cat", "dog"])[Y]


USERS = np.asarray(["eve", "joe", "ann"])


def loaded(tmp_path, suffix="", **arrays):
    np.savez(tmp_path / "x.npz", **arrays)
    return load_dataset(f"npz:{tmp_path}/x.npz{suffix}")


PLAIN = {"train_images": X, "train_labels": Y, "test_images": X[:8], "test_labels": Y[:8]}


@pytest.mark.parametrize(
    "changes",
    [
        {key: Y[:, None] if key == "train_labels" else Y[:8, None] for key in ("train_labels", "test_labels")},
        {"train_images": X.transpose(0, 3, 1, 2), "test_images": X[:8].transpose(0, 3, 1, 2)},
        {"train_labels": NAMES, "test_labels": NAMES[:8]},
        {"train_labels": NAMES.astype("S"), "test_labels": NAMES[:8].astype("S")},
        {"train_labels": NAMES.astype(object), "test_labels": NAMES[:8].astype(object)},
    ],
)
def test_what_means_the_same_is_the_same(tmp_path, changes):
    right = loaded(tmp_path, **PLAIN)
    assert loaded(tmp_path, **{**PLAIN, **changes}).sha256 == right.sha256
    other = {f"{'x' if 'images' in k else 'y'}_{k[: k.index('_')]}": v for k, v in {**PLAIN, **changes}.items()}
    assert loaded(tmp_path, **other).sha256 == right.sha256


def test_the_validation_part_validates(tmp_path):
    dataset = loaded(tmp_path, **PLAIN, val_images=X[:4], val_labels=Y[:4])
    assert dataset.validation.sum() == 4 and len(dataset.train_labels) == 44


def test_what_is_no_image_is_read_by_its_axes_or_as_the_request_says(tmp_path):
    labels = {"y_train": Y, "y_test": Y[:8]}
    table, series = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 20, 3))
    assert loaded(tmp_path, x_train=table, x_test=table[:8], **labels).input.kind == "table"
    assert loaded(tmp_path, x_train=series, x_test=series[:8], **labels).input.shape == (3, 20)
    grey = loaded(tmp_path, "?kind=image", x_train=series, x_test=series[:8], **labels)
    assert (grey.input.kind, grey.input.shape) == ("image", (1, 20, 3))
    tokens = RNG.integers(0, 30, (40, 6))
    found = loaded(tmp_path, train_tokens=tokens, test_tokens=tokens[:8], train_y=Y, test_y=Y[:8])
    assert found.input.vocabulary == tokens.max() + 1 and "vocabulary is taken to be" in found.notes[0]
    found = loaded(tmp_path, "?vocabulary=99", train_tokens=tokens, test_tokens=tokens[:8], train_y=Y, test_y=Y[:8])
    assert found.input.vocabulary == 99


def test_groups_by_name_hold_validation_out_of_every_group(tmp_path):
    who = np.asarray(["eve", "joe"])[np.arange(40) // 20]
    dataset = loaded(tmp_path, **PLAIN, train_users=who, test_users=who[::5])
    assert dataset.train_groups.tolist() == [0] * 20 + [1] * 20 and dataset.held_out_within == "groups"


def test_users_without_a_test_part_are_counted_and_named(tmp_path):
    dataset = loaded(
        tmp_path, **PLAIN, train_users=USERS.astype(object)[np.arange(40) % 2], test_users=USERS[Y[:8] // 2 + 1]
    )
    assert "1 of 3 groups has no test sample: 'eve'" in dataset.notes
    assert "1 of 3 groups has test samples only: 'ann'" in dataset.notes


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (RNG.normal(size=(40, 28, 28)), "samples of shape (28, 28), float64, are read as kind=series; if they are not"),
        (X[..., 0], "are read as kind=image; if they are not, add kind=series to the request"),
        (RNG.integers(0, 30, (40, 6)), "are read as kind=table; if they are not, add kind=tokens to the request"),
        (RNG.normal(size=(40, 6)), None),
    ],
)  # fmt: skip
def test_a_kind_that_was_guessed_is_told(tmp_path, values, note):
    arrays = {"x_train": values, "x_test": values[:8], "y_train": Y, "y_test": Y[:8]}
    assert [each for each in loaded(tmp_path, **arrays).notes if note is None or note not in each] == []
    kind = {3: "series", 2: "table"}[values.ndim]
    assert loaded(tmp_path, f"?kind={kind}", **arrays).notes == ()


WRONG = [
    ({"x_train": X}, "", "arrays 'test_images' and 'x_train' are samples of different kinds"),
    ({"labels_train": Y}, "", "'labels_train' and 'train_labels' mean the same"),
    ({"val_images": X[:4]}, "", "array 'validation_labels' is missing"),
    ({"train_labels": NAMES}, "", "train_labels must be whole numbers"),
    ({"train_images": X.astype(np.uint16)}, "", r"train_images must be uint8 or float, found uint16"),
    ({"train_images": X.reshape(40, -1)}, "", "must have shape"),
    ({"train_images": np.where(X > 250, np.nan, X)}, "", "test samples differ in type"),
    ({}, "?kind=sound", "kind='sound' must be one of image, table"),
    ({}, "?kind=tokens&vocabulary=x", "vocabulary='x' must be a whole number"),
    ({}, "?colour=1", "option 'colour=1' must be one of kind="),
    ({"train_groups": Y}, "", "array 'test_groups' is missing"),
    ({}, "?vocabulary=50", "vocabulary='50' has no meaning for kind=image; add kind=tokens, or leave it out"),
    ({}, "?missing=mean", "missing=mean has no meaning for uint8, of which none is missing"),
    (
        {"train_labels": np.where(Y > 2, np.nan, Y)},
        "",
        "train_labels has 10 missing or infinite entries, the first at 3",
    ),
    ({"train_labels": Y / 2}, "", "train_labels has 0.5 at 1, which is no whole number"),
    ({"train_labels": Y + 0.0}, "", r"found float64 \(40,\); convert with y.astype\(np.int64\)"),
    ({"train_labels": Y.astype(object)}, "", r"array 'train_labels' holds Python objects \(int\), of which only texts"),
    ({"train_labels": np.asarray([None, *NAMES[1:]])}, "", r"holds Python objects \(NoneType\)"),
    (
        {"train_images": np.where(X > 250, np.nan, X), "test_images": X[:8] + 0.5},
        "",
        "or add missing=mean to the request",
    ),
]


@pytest.mark.parametrize(("changes", "suffix", "said"), WRONG)
def test_arrays_that_do_not_fit_are_named(tmp_path, changes, suffix, said):
    np.savez(tmp_path / "x.npz", **{**PLAIN, **changes})
    assert_refused(f"npz:{tmp_path}/x.npz{suffix}", said)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"x": X, "y": Y}, "x_train, y_train, x_test, y_test missing; .*2 arrays of the file are not used: 'x', 'y'"),
        ({"x_train": X, "y_train": Y}, "x_test, y_test missing; a file has samples and labels to train and to test"),
    ],
)
def test_a_file_without_its_parts_is_told_how_to_call_them(tmp_path, arrays, said):
    np.savez(tmp_path / "x.npz", **arrays)
    assert_refused(f"npz:{tmp_path}/x.npz", said)
