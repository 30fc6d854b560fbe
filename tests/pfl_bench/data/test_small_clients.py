import numpy as np
import pytest
from pfl_bench.datasets.omniglot import pool_alphabets

from pfl_bench.data.dataset import ArrayDataset
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import make_partition
from pfl_bench.errors import RequestError

CHARACTERS = [
    20, 29, 26, 41, 40, 24, 46, 14, 26, 34, 33, 22, 26, 43, 24, 48, 22, 16, 52, 47, 40, 26, 40, 41, 33,
    14, 42, 23, 17, 55, 20, 26, 26, 26, 26, 26, 45, 45, 41, 26, 47, 40, 30, 45, 46, 28, 23, 25, 42, 26,
]  # fmt: skip
"""Omniglot's characters per alphabet, in the order of the official parts; 30 alphabets are background."""


def writers(train: list[int], test: list[int], labels: int = 62) -> ArrayDataset:
    """A data set of writers with so many samples each."""
    rng = np.random.default_rng(0)
    own = rng.permutation(np.arange(sum(train)) % labels)
    arrays = {"train_images": np.zeros((sum(train), 1, 1), np.uint8), "train_labels": own}
    arrays |= {"test_images": np.zeros((sum(test), 1, 1), np.uint8), "test_labels": rng.choice(own, sum(test))}
    for split, sizes in (("train", train), ("test", test)):
        arrays[f"{split}_writer"] = np.repeat(np.arange(len(sizes)), sizes)
    return make_dataset("writers", arrays, groups="writer")


@pytest.mark.parametrize("seed", range(5))
def test_small_writers_hold_validation_out_of_their_own(seed):
    dataset = writers([20] * 196 + [3, 3, 2, 2], [3] * 200)
    partition = make_partition("natural", {}, dataset, 200, seed)
    partition.check(dataset)
    for client in range(200):
        for split in (partition.train, partition.validation):
            assert set(dataset.train_groups[split[client]]) == {client}
    assert sum(map(len, partition.train + partition.validation)) == len(dataset.train_labels), "nothing is lost"
    assert len(partition.notes) == 1 and "validation was held out within" in partition.notes[0]


def test_who_had_validation_keeps_it():
    """One small writer more changes nothing for the others."""
    sizes = [200] * 10
    before = make_partition("natural", {}, writers(sizes, [20] * 10), 10, 0)
    assert before.notes == ()
    dataset = writers([*sizes, 2], [20] * 11)
    after = make_partition("natural", {}, dataset, 11, 0)
    assert [len(own) for own in after.validation[-1:]] == [1] and "within 1 small client of 11" in after.notes[0]


def test_writers_too_small_are_refused_with_advice_or_left_out_and_counted():
    dataset = writers([30] * 20 + [1, 1, 30], [4] * 22 + [0])
    with pytest.raises(RequestError, match=r"needs 2 and 1; 3 of 23 groups have fewer: leave .* min_samples = 2, or"):
        make_partition("natural", {}, dataset, 23, 0)
    with pytest.raises(RequestError, match=r"use fewer clients \(they are 20, 21, 22\)$"):
        make_partition("natural", {}, dataset, 23, 0)
    with pytest.raises(RequestError, match="use fewer clients: there are 4 groups, and as many clients have one each$"):
        make_partition("natural", {}, writers([30] * 4, [1, 1, 1, 9]), 8, 0)
    partition = make_partition("natural", {"min_samples": 2}, dataset, 20, 0)
    assert partition.clients == 20 and sum(map(len, partition.train + partition.validation)) == 600
    assert partition.notes[0] == (
        "3 of 23 groups have fewer than 2 training samples or no test sample and are left out, with 32 training and 8 "
        "test samples"
    )
    with pytest.raises(RequestError, match="no group has 99 training samples and a test sample"):
        make_partition("natural", {"min_samples": 99}, dataset, 20, 0)


def test_a_group_number_with_a_gap_makes_no_client():
    arrays = {"train_images": np.zeros((60, 1, 1), np.uint8), "train_labels": np.arange(60) % 2}
    arrays |= {"test_images": np.zeros((12, 1, 1), np.uint8), "test_labels": np.arange(12) % 2}
    arrays |= {"train_g": np.repeat([5, 9, 12], 20), "test_g": np.repeat([5, 9, 12], 4)}
    dataset = make_dataset("x", arrays, groups="g")
    assert dataset.notes == ("groups from 5 to 12 are renumbered to 0 to 2, the 3 that occur",)
    assert make_partition("natural", {}, dataset, 3, 0).clients == 3


def omniglot() -> ArrayDataset:
    """Omniglot without its pixels."""
    alphabets = np.repeat(np.arange(50), [20 * number for number in CHARACTERS])
    characters = np.repeat(np.arange(sum(CHARACTERS)), 20)
    arrays = {}
    for split, rows in (("train", alphabets < 30), ("test", alphabets >= 30)):
        arrays[f"{split}_images"] = np.zeros((rows.sum(), 1, 1), np.uint8)
        arrays[f"{split}_labels"], arrays[f"{split}_alphabet"] = characters[rows], alphabets[rows]
    return make_dataset("omniglot", pool_alphabets(arrays), groups="alphabet", validation_share=3 / 17)


def test_omniglots_published_split_is_as_it_was_and_as_its_page_says():
    dataset = omniglot()
    partition = make_partition("natural", {}, dataset, 50, 0)
    assert partition.sha256() == "a895ec3dcbf5c328e5e9f150d63b167f44fcbcc09af3359c0ba7775f98061a08"
    assert partition.notes == ()
    held = np.bincount(np.concatenate(partition.validation), minlength=len(dataset.train_labels)).astype(bool)
    of_character = dataset.train_groups * 100 + dataset.train_labels
    counts = np.bincount(np.unique(of_character, return_inverse=True)[1], weights=held)
    assert (counts.min(), counts.max(), (counts == 0).sum(), len(counts)) == (0, 9, 56, 1623)


def test_clients_tested_on_classes_they_never_see_are_counted():
    dataset = writers([40] * 6, [40] * 6, labels=2)
    partition = make_partition("natural", {}, dataset, 6, 0)
    assert partition.untrained(dataset) == (0, 0)
    lost = int(dataset.test_labels[partition.test[2][0]])
    own = partition.train[2]
    train = (*partition.train[:2], own[dataset.train_labels[own] != lost], *partition.train[3:])
    changed = type(partition)(train, partition.validation, partition.test)
    assert changed.untrained(dataset) == (1, int((dataset.test_labels[partition.test[2]] == lost).sum()))
