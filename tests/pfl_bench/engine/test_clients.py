"""A group of clients: ids that need no waiting, batches by coordinates, what each client has."""

import numpy as np
import torch

from pfl_bench.engine.clients import client_ids, host_ids
from pfl_bench.testing.harness import Harness
from pfl_bench.testing.setup import ragged_setup, tiny_setup

CPU = torch.device("cpu")
AT = ("train", "batches")


def test_ids_remember_their_values_on_the_host():
    ids = client_ids(np.array([4, 1]), torch.device("meta"))
    assert (ids.dtype, ids.shape) == (torch.int64, (2,))
    assert host_ids(ids) == [4, 1], "a meta tensor has no values to read"
    assert host_ids(torch.tensor([2, 0])) == [2, 0]


def test_sizes_and_class_counts_are_those_of_the_members():
    harness = Harness("fedavg", ragged_setup())
    labels = harness.setup.dataset.train_labels
    assert harness.group.sizes.tolist() == [1, 20, 3, 48]
    for own, counts in zip(harness.setup.partition.train, harness.group.class_counts, strict=True):
        assert counts.tolist() == [int((labels[own] == label).sum()) for label in range(3)]


def test_a_client_s_batches_are_its_own_whoever_else_is_there():
    group, ids = Harness("fedavg").group, Harness("fedavg").clients
    alone, together = group.plan(ids(3), 5, 2, AT, 1), group.plan(ids(0, 3, 5), 5, 2, AT, 1)
    assert torch.equal(alone.indices[0], together.indices[1])
    assert set(alone.indices.flatten().tolist()) <= set(group.members[3].tolist())
    for other in (group.plan(ids(3), 5, 2, AT, 2), group.plan(ids(3), 5, 2, ("train", "x"), 1),
                  group.plan(ids(3), 5, 2, ("evaluate", "batches"), 1)):  # fmt: skip
        assert not torch.equal(alone.indices, other.indices)


def test_a_client_has_the_batches_of_its_number_among_all():
    """So Local trains client 2 alike whether it is the only model's third client or the first model's second."""
    equal = Harness("fedavg", tiny_setup("synthetic:classes=3,n=180,side=16", clients=7))
    mixed = Harness("fedavg", equal.setup.but(model=("mlp", "lenet7")))
    ours, theirs = mixed.group.plan(mixed.clients(1), 3, 1, AT, 0), equal.group.plan(equal.clients(2), 3, 1, AT, 0)
    assert torch.equal(ours.indices, theirs.indices)


def test_seeds_of_noise_are_drawn_where_the_model_needs_them():
    from torch import nn

    from pfl_bench.client.build import register_model

    assert Harness("fedavg").group.plan(torch.tensor([0]), 2, 1, AT, 0).noise is None
    register_model("dropping")(
        lambda shape, classes: nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, classes))
    )
    group = Harness("fedavg", tiny_setup(model="dropping")).group
    one, again, later = (group.plan(torch.tensor([0, 1]), 2, 1, AT, round) for round in (0, 0, 1))
    assert one.noise.shape == one.indices.shape and torch.equal(one.noise, again.noise)
    assert len(one.noise.unique()) == one.noise.numel() and not torch.equal(one.noise, later.noise)


def test_a_part_is_made_once():
    group = Harness("fedavg").group
    assert group.part(0.25)[0] is group.part(0.25)[0]
    for kept, held, own in zip(group.part(0.25)[0].members, group.part(0.25)[1].members, group.members, strict=True):
        assert not set(kept) & set(held) and set(kept) | set(held) == set(own)


def test_the_single_sample_of_a_client_is_in_both_parts():
    rest, held = Harness("fedavg", ragged_setup()).group.part(0.5)
    assert rest.members[0].tolist() == held.members[0].tolist()
    assert not set(rest.members[1]) & set(held.members[1])
