import numpy as np
import pytest

from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.errors import RequestError


@pytest.fixture
def exported(tmp_path):
    arrays = {"train_images": np.zeros((60, 1, 1), np.uint8), "train_labels": np.arange(60) % 2}
    arrays |= {"test_images": np.zeros((20, 1, 1), np.uint8), "test_labels": np.arange(20) % 2}
    make_partition("iid", {}, make_dataset("x", arrays), 4, 0).save(tmp_path / "p.npz")
    return tmp_path / "p.npz"


@pytest.mark.parametrize(
    ("key", "change", "message"),
    [
        ("train_indices", lambda a: a.astype(float), "train_indices must be whole numbers, found float64"),
        ("train_indices", lambda a: a[:-1], "train_sizes must be at least 0 and add up to the 47 train_indices"),
        ("test_sizes", lambda a: a * -1, "test_sizes must be at least 0"),
        ("test_sizes", lambda a: a[None], "must have one axis"),
        ("test_indices", lambda a: a.astype(np.uint64) + np.uint64(2**63), "which is no index"),
        ("validation_sizes", lambda a: np.append(a, 0), "its splits differ in clients"),
        ("novel", lambda a: np.asarray(4), "novel must be a number from 0 to 3"),
        ("novel", lambda a: np.asarray(0.0), "novel must be whole numbers"),
        ("sha256", lambda a: np.asarray(7), "sha256 must be a text"),
        ("sha256", lambda a: np.asarray("0" * 64), "does not match the hash '000000000000' it carries"),
    ],
)
def test_what_is_no_partition_is_named(exported, key, change, message):
    arrays = dict(np.load(exported))
    np.savez(exported, **{**arrays, key: change(arrays[key])})
    with pytest.raises(RequestError, match=message):
        Partition.load(exported)


def test_an_index_held_twice_is_refused():
    arrays = {"train_images": np.zeros((9, 1, 1), np.uint8), "train_labels": np.arange(9) % 2}
    arrays |= {"test_images": np.zeros((4, 1, 1), np.uint8), "test_labels": np.arange(4) % 2}
    twice = Partition((np.asarray([0, 0]),), (np.asarray([1]),), (np.asarray([0]),))
    with pytest.raises(RequestError, match="or one holds it twice"):
        twice.check(make_dataset("x", arrays))
