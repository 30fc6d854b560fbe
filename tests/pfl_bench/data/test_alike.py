"""Clients that see the same are one group, however many groups a shift was dealt in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.data.alike import with_shifts
from pfl_bench.data.partition import Partition, make_partition
from pfl_bench.data.shifts import shifted
from pfl_bench.data.store import load_dataset
from pfl_bench.engine.clusters import cluster_rows
from pfl_bench.spec.heterogeneity import ShiftSpec

DIGITS = load_dataset("digits")
EQUAL = make_partition("iid", {}, DIGITS, 24, 0)


def dealt(*tables: dict) -> Partition:
    return with_shifts(tuple(map(ShiftSpec.model_validate, tables)), DIGITS, EQUAL, 0)


@pytest.mark.parametrize(
    ("table", "kinds"),
    [
        ({"rule": "inversion", "groups": 4}, 2),
        ({"rule": "rotation", "groups": 4, "angles": [0, 90, 90, 0]}, 2),
        ({"rule": "rotation", "groups": 3, "angles": [-90, 270, 180]}, 2),
        ({"rule": "noise", "groups": 4, "levels": [0.5, 0.0, 0.5, 1.0]}, 3),
        ({"rule": "contrast", "groups": 3, "factors": [0.5, 1.0, 0.5]}, 2),
        ({"rule": "rotation", "groups": 4}, 4),
        ({"rule": "noise", "groups": 4}, 4),
        ({"rule": "contrast", "groups": 4}, 4),
        ({"rule": "permutation", "groups": 4}, 4),
    ],
)
def test_groups_that_see_the_same_are_one(table, kinds):
    partition = dealt(table)
    assert len(np.unique(partition.alike)) == kinds
    assert (len(partition.notes) > 0) == (kinds < table["groups"]), "it is told"
    rows = cluster_rows(partition.groups[0], partition, DIGITS)
    assert {row["group"] for row in rows} == set(range(kinds)), "which is what clusters are compared with"
    if kinds == table["groups"]:
        assert (partition.alike == partition.groups[0]).all(), "and then they are the shift's own groups"


def test_shifts_that_undo_one_another_count_for_nothing():
    twice = dealt({"rule": "inversion"}, {"rule": "inversion", "deal": 1})
    assert len(np.unique(np.stack(twice.groups), axis=1).T) == 4 and len(np.unique(twice.alike)) == 2
    assert "of 4 combinations of the shifts' groups 2 are different" in twice.notes[-1]
    seen = shifted(DIGITS, twice, tuple(ShiftSpec(rule="inversion", deal=deal) for deal in (0, 1)), 0)
    same = (twice.groups[0] == twice.groups[1]).nonzero()[0]
    assert all((seen.train_inputs[own] == DIGITS.train_inputs[own]).all() for own in (EQUAL.train[c] for c in same))
    assert len(set(twice.alike[same])) == 1


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from([0.0, 45.0, 90.0, 180.0]), min_size=2, max_size=6).filter(any))
def test_two_clients_are_alike_exactly_if_their_angles_are(angles):
    partition = dealt({"rule": "rotation", "groups": len(angles), "angles": angles})
    own = np.asarray(angles)[partition.groups[0]]
    assert ((own[:, None] == own) == (partition.alike[:, None] == partition.alike)).all()


def test_the_hash_is_of_who_is_in_which_group_as_before():
    assert dealt({"rule": "inversion", "groups": 4}).sha256() == dealt({"rule": "rotation", "groups": 4}).sha256()
