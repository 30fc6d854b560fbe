"""Validation and test of natural clients, and what is told of groups and clients."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.held_out import last_of_groups, share_of_groups
from pfl_bench.data.making import make_dataset
from pfl_bench.data.partition import make_partition
from pfl_bench.data.rows import coded, dataset_of_rows
from pfl_bench.errors import RequestError

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=12)


@settings(max_examples=60, deadline=None)
@given(SIZES, st.floats(0.05, 0.5), st.integers(0, 99))
def test_every_group_holds_its_share_out(sizes, share, seed):
    rng = np.random.default_rng(seed)
    groups = rng.permutation(np.repeat(np.arange(len(sizes)) * 3, sizes))
    labels = rng.integers(0, 4, len(groups))
    for held in (share_of_groups(groups, labels, share, rng), last_of_groups(groups, share)):
        for group, size in zip(np.arange(len(sizes)) * 3, sizes, strict=True):
            own = held[groups == group]
            assert own.sum() == min(max(1, round(share * size)), size - 1)


def test_the_last_are_the_last_and_classes_keep_their_proportions():
    groups = np.asarray([0, 1, 0, 1, 0, 1, 0, 0])
    assert np.flatnonzero(last_of_groups(groups, 0.4)).tolist() == [5, 6, 7]
    labels = np.repeat([0, 1], [80, 20])
    held = share_of_groups(np.zeros(100, int), labels, 0.2, np.random.default_rng(0))
    assert np.bincount(labels[held]).tolist() == [16, 4]


def natural(sizes, **options):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    labels = np.arange(len(groups)) % 3
    return dataset_of_rows("rows", np.zeros((len(groups), 2)), labels, kind="table", groups=groups, **options)


def test_natural_clients_hold_out_their_own_whatever_their_size():
    sizes = [3, 4, 9, 100, 700]
    dataset = natural(sizes)
    for seed in range(5):
        partition = make_partition("natural", {}, dataset, 5, seed)
        for client, size in enumerate(sizes):
            tested, held = len(partition.test[client]), len(partition.validation[client])
            assert tested == max(1, round(0.2 * size)) and held == max(1, round(0.2 * (size - tested)))
        assert partition.notes == ()
    assert (
        make_partition("natural", {}, dataset, 5, 0).sha256() != make_partition("natural", {}, dataset, 5, 1).sha256()
    )


def test_small_groups_are_refused_with_advice_or_left_out_and_counted():
    dataset = natural([1, 1, 50, 60, 70])
    with pytest.raises(RequestError, match="needs 2 and 1; 2 of 5 groups have fewer: leave such groups out"):
        make_partition("natural", {}, dataset, 5, 0)
    partition = make_partition("natural", {"min_samples": 2}, dataset, 3, 0)
    assert "2 of 5 groups have fewer than 2 training samples or no test sample and are left out" in partition.notes[0]


def test_a_part_that_the_source_names_validates_under_every_rule():
    splits = np.tile(["train", "train", "train", "val", "test"], 60)
    dataset = natural([75] * 4, splits=splits)
    for rule, parameters, clients in (("natural", {}, 4), ("iid", {}, 7), ("classes", {"classes": 2}, 6)):
        partition = make_partition(rule, parameters, dataset, clients, 3)
        assert np.isin(np.concatenate(partition.validation), np.flatnonzero(dataset.validation)).all()
        assert not np.isin(np.concatenate(partition.train), np.flatnonzero(dataset.validation)).any()


@pytest.mark.parametrize(
    ("clients", "told"),
    [(8, ()), (4, ("8 groups are dealt to 4 clients, 2 groups a client",)),
     (3, ("8 groups are dealt to 3 clients, 2 to 3 groups a client",)),
     (16, ("8 groups are dealt to 16 clients, 1 group a client; a group's samples are shared by 2 clients",))],
)  # fmt: skip
def test_groups_per_client_are_told(clients, told):
    assert make_partition("natural", {}, natural([60] * 8), clients, 0).notes == told


def test_group_numbers_with_gaps_and_groups_that_only_test_has():
    arrays = {"train_images": np.zeros((60, 2, 2), np.uint8), "train_labels": np.arange(60) % 2}
    arrays |= {"test_images": np.zeros((30, 2, 2), np.uint8), "test_labels": np.arange(30) % 2}
    arrays |= {"train_who": np.arange(60) % 2 * 40 + 7, "test_who": np.arange(30) % 3 * 40 + 7}
    dataset = make_dataset("x", arrays, groups="who")
    assert dataset.notes == (
        "groups from 7 to 87 are renumbered to 0 to 2, the 3 that occur", "1 of 3 groups has test samples only: 87",
    )  # fmt: skip
    with pytest.raises(RequestError, match=r"client 2 of 3 would get 0 training .* leave such groups out"):
        make_partition("natural", {}, dataset, 3, 0)
    partition = make_partition("natural", {"min_samples": 2}, dataset, 2, 0)
    assert partition.notes[0].startswith("1 of 3 groups has fewer than 2 training samples or no test sample")


def test_a_class_that_would_have_no_training_sample_keeps_it():
    labels = np.asarray([0] * 20 + [1] * 20 + [2])
    dataset = dataset_of_rows("rows", np.zeros((41, 2)), labels, kind="table", groups=np.append(np.arange(40) % 2, 2))
    assert dataset.classes == 3 and 2 in dataset.train_labels


@pytest.mark.parametrize(
    ("values", "codes"),
    [
        (["b", "a", "b"], [1, 0, 1]),
        ([3, 5, 3], [3, 5, 3]),
        ([1.0, 2.0, 1.0], [1, 2, 1]),
        ([True, False, True], [1, 0, 1]),
    ],
)
def test_names_and_numbers_are_coded(values, codes):
    assert coded("x", np.asarray(values))[0].tolist() == codes


@pytest.mark.parametrize(
    ("values", "said"), [([0.5, 1.0], "0.5 is no whole number"), ([np.nan, 1.0], "1 of 2 are missing")]
)
def test_what_is_no_class_is_named(values, said):
    with pytest.raises(RequestError, match=said):
        coded("x", np.asarray(values))
