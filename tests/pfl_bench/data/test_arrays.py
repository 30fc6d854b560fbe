import numpy as np
import pytest

from pfl_bench.data.arrays import checked_images, checked_numbers, renumbered
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import make_partition
from pfl_bench.errors import RequestError

X = np.zeros((8, 6, 5), np.uint8)
Y = np.arange(8) % 2


@pytest.mark.parametrize(
    ("images", "advice"),
    [
        (X.astype(np.uint16), "(x >> 8).astype(np.uint8)"),
        (X.astype(bool), "x * np.uint8(255)"),
        (np.zeros((8, 3, 32, 32), np.uint8), "channels go last: x.transpose(0, 2, 3, 1)"),
        (np.zeros((8, 6, 5, 4), np.uint8), "drop the transparency"),
        (X.reshape(8, -1), "x.reshape(N, H, W, C)"),
    ],
)
def test_images_that_do_not_fit_get_the_right_advice(images, advice):
    with pytest.raises(RequestError) as refused:
        checked_images("x", "train_images", images)
    assert advice in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("labels", "advice"),
    [
        (Y[:, None], "y.ravel()"),
        (np.eye(2)[Y], "y.argmax(axis=1)"),
        (Y.astype(float), "y.astype(np.int64)"),
        (np.asarray(["cat", "dog"])[Y], "np.unique(y, return_inverse=True)[1]"),
    ],
)
def test_labels_that_do_not_fit_get_the_right_advice(labels, advice):
    with pytest.raises(RequestError) as refused:
        checked_numbers("x", "train_labels", labels, 8)
    assert advice in str(refused.value)


def test_numbers_are_those_that_occur():
    (train, test), count, notes = renumbered(
        "labels", np.asarray([7, 3, 7, 2**63], np.uint64), np.asarray([3], np.uint64)
    )
    assert (train.tolist(), test.tolist(), count) == ([1, 0, 1, 2], [0], 3)
    assert notes == (f"labels from 3 to {2**63} are renumbered to 0 to 2, the 3 that occur",)


def with_labels(train, test, **options):
    arrays = {"train_images": np.zeros((len(train), 4, 4), np.uint8), "train_labels": np.asarray(train)}
    arrays |= {"test_images": np.zeros((len(test), 4, 4), np.uint8), "test_labels": np.asarray(test)}
    return make_dataset("x", arrays, **options)


def test_labels_from_1_make_no_phantom_class():
    own = np.arange(400) % 10 + 1
    dataset = with_labels(own, own)
    assert dataset.classes == 10 and dataset.notes == (
        "labels from 1 to 10 are renumbered to 0 to 9, the 10 that occur",
    )
    assert dataset.sha256 == with_labels(own - 1, own - 1).sha256
    partition = make_partition("classes", {"classes": 2}, dataset, 20, 0)
    assert {len(np.unique(dataset.train_labels[own])) for own in partition.train} == {2}


def test_a_class_without_a_sample_is_dealt_to_nobody():
    own = np.asarray([0, 1, 3, 4] * 50)
    dataset = with_labels(own, own, classes=5)
    assert dataset.classes == 5 and "1 of 5 classes has no sample" in dataset.notes[0]
    partition = make_partition("classes", {"classes": 2}, dataset, 8, 0)
    assert {len(np.unique(dataset.train_labels[own])) for own in partition.train} == {2}


@pytest.mark.parametrize("options", [{}, {"classes": 3}])
def test_a_class_that_only_test_has_is_refused(options):
    with pytest.raises(RequestError, match=r"test_labels has class 2 1 time and train_labels never"):
        with_labels([0, 1, 0, 1], [0, 1, 2], **options)


def test_a_class_without_a_test_sample_is_noted():
    assert with_labels([0, 1, 2, 0], [0, 1]).notes == ("class 2 of train_labels has no test sample",)


def test_right_data_say_nothing():
    assert with_labels(Y, Y).notes == () and with_labels(Y, Y, classes=2).notes == ()
