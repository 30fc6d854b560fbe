"""Who is in which group, and that exactly its samples are changed."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.api import ShiftConfig, register_shift
from pfl_bench.data.alike import with_shifts
from pfl_bench.data.partition import SPLITS, Partition, make_partition
from pfl_bench.data.shifts import deal_groups, shifted, try_shifts
from pfl_bench.data.store import load_dataset
from pfl_bench.errors import RequestError
from pfl_bench.spec.heterogeneity import ShiftSpec
from tests.pfl_bench.data.test_partition import labelled

DIGITS = load_dataset("digits")
ROTATION, NAMES = ShiftSpec(rule="rotation", groups=4), ShiftSpec(rule="permutation", groups=2, deal=1)


def dealt(*specs: ShiftSpec, clients=20, seed=0, novel=0) -> Partition:
    return deal_groups(specs, DIGITS, make_partition("iid", {}, DIGITS, clients, seed, novel), seed)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(8, 30), st.integers(0, 5), st.integers(0, 2**31))
def test_groups_are_of_equal_size_among_training_and_among_novel_clients(groups, clients, novel, seed):
    (found,) = dealt(ShiftSpec(rule="rotation", groups=groups), clients=clients + novel, seed=seed, novel=novel).groups
    for own in (found[:clients], found[clients:]):
        sizes = np.bincount(own, minlength=groups)
        assert sizes.sum() == len(own) and np.ptp(sizes) <= 1


def test_shifts_share_groups_unless_they_are_dealt_anew():
    one, same, other = dealt(NAMES, NAMES, NAMES.model_copy(update={"deal": 2})).groups
    assert (one == same).all() and (one != other).any()
    assert dealt(NAMES).sha256() == dealt(NAMES).sha256() != dealt(NAMES, seed=1).sha256()
    assert len({dealt().sha256(), dealt(NAMES).sha256(), dealt(ROTATION).sha256()}) == 3, "groups are in the hash"


def test_a_partition_without_shifts_has_the_hash_it_had():
    plain = make_partition("classes", {"classes": 2}, DIGITS, 20, seed=0)
    assert deal_groups((), DIGITS, plain, 0).sha256() == plain.sha256()


def test_every_sample_of_a_shifted_client_changes_and_no_other():
    partition = dealt(ROTATION)
    seen = shifted(DIGITS, partition, (ROTATION,), 0)
    for client, group in enumerate(partition.groups[0]):
        for split in SPLITS:
            own, part = getattr(partition, split)[client], "test" if split == "test" else "train"
            before, after = (getattr(data, f"{part}_inputs")[own] for data in (DIGITS, seen))
            assert (after == np.rot90(before, group, axes=(1, 2))).all()
    assert seen.train_labels is DIGITS.train_labels, "what stays is shared"
    assert seen.sha256 == DIGITS.sha256


def test_shifts_compose_in_their_order():
    specs = (ROTATION, NAMES)
    partition = dealt(*specs)
    seen = shifted(DIGITS, partition, specs, 0)
    turned = shifted(DIGITS, replace(partition, groups=partition.groups[:1]), specs[:1], 0)
    assert (seen.train_inputs == turned.train_inputs).all() and (seen.test_inputs == turned.test_inputs).all()
    for client, group in enumerate(partition.groups[1]):
        for split in SPLITS:
            own, part = getattr(partition, split)[client], "test" if split == "test" else "train"
            changed = getattr(seen, f"{part}_labels")[own] != getattr(DIGITS, f"{part}_labels")[own]
            assert changed.all() if group else not changed.any()


def test_the_source_is_left_as_it_is():
    before = DIGITS.train_inputs.copy()
    specs = (ShiftSpec.model_validate({"rule": "noise", "level": 2.0}),)
    partition = dealt(*specs)
    seen = shifted(DIGITS, partition, specs, 0)
    assert (DIGITS.train_inputs == before).all() and (seen.train_inputs != before).any()
    again = shifted(DIGITS, partition, specs, 0)
    assert (seen.train_inputs == again.train_inputs).all() and (seen.test_inputs == again.test_inputs).all()
    assert shifted(DIGITS, dealt(), (), 0) is DIGITS, "without shifts nothing is copied"


def test_natural_groups_are_those_of_the_source():
    data = labelled(40, 10, 10, groups=5)
    natural = make_partition("natural", {}, data, 10, seed=1)
    (groups,) = deal_groups((ShiftSpec(rule="rotation", groups="natural"),), data, natural, 1).groups
    assert groups.tolist() == natural.natural_groups(data).tolist() == [*range(5), *range(5)]


def test_holdings_say_who_sees_the_same():
    partition = with_shifts((ROTATION, NAMES), DIGITS, dealt(), 0)
    rows = partition.holdings(DIGITS)
    assert {(row["client"], row["shift_group"]) for row in rows} == set(enumerate(partition.alike.tolist()))
    for number, groups in enumerate(partition.groups, start=1):
        assert {(row["client"], row[f"shift_{number}"]) for row in rows} == set(enumerate(groups.tolist()))
    pairs = set(zip(*(groups.tolist() for groups in partition.groups), strict=True))
    assert len(np.unique(partition.alike)) == len(pairs)
    assert "shift_group" not in dealt().holdings(DIGITS)[0]
    assert "shift_1" not in with_shifts((ROTATION,), DIGITS, dealt(), 0).holdings(DIGITS)[0], "it is the shift_group"


def test_an_exported_partition_is_who_holds_what(tmp_path):
    dealt(ROTATION).save(tmp_path / "p.npz")
    assert Partition.load(tmp_path / "p.npz").sha256() == dealt().sha256()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"rule": "rotaton"}, "unknown shift 'rotaton': did you mean 'rotation'"),
        ({"rule": "rotation", "angle": 3}, "shift rotation: there is no field 'angle'"),
        ({"rule": "rotation", "groups": 21}, "groups=21 for 20 training clients"),
        ({"rule": "rotation", "groups": "natural"}, "digits has no natural groups"),
        ({"rule": "noise", "levels": [1.0]}, "1 levels for 2 groups"),
        ({"rule": "noise", "level": "much"}, "shift noise: level='much'"),
        ({"rule": "permutation", "moved": 1}, "shift permutation: moved=1"),
        ({"rule": "noise", "level": 3.0, "levels": [0.0, 1.0]}, "level=3.0 has no meaning beside levels"),
        (
            {"rule": "rotation", "angles": [0.0, 1e300]},
            r"shift rotation: angles.1=1e\+300 must be less than or equal to",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(spec, message):
    specs = (ShiftSpec.model_validate(spec),)
    with pytest.raises(RequestError, match=message):
        try_shifts(DIGITS, dealt(*specs), specs, 0)


@pytest.mark.parametrize(
    "spec",
    [
        {"rule": "rotation", "groups": 1},
        {"rule": "rotation", "angles": [0.0, 360.0]},
        {"rule": "noise", "level": 0.0},
        {"rule": "contrast", "factors": [1.0, 1.0]},
        {"rule": "permutation", "groups": 1},
        {"rule": "inversion", "groups": 1},
    ],
)
def test_a_shift_that_changes_nothing_is_refused(spec):
    specs = (ROTATION, ShiftSpec.model_validate(spec))
    said = rf"shift {spec['rule']}: groups=[12].* leaves all clients' data as they are"
    with pytest.raises(RequestError, match=said):
        with_shifts(specs, DIGITS, make_partition("iid", {}, DIGITS, 20, 0), 0)


FLOATS = load_dataset("synthetic:kind=table,n=200")


@pytest.mark.parametrize(
    ("spec", "figure"),
    [
        ({"rule": "contrast", "factors": [1.0, 1e300]}, "inf"),
        ({"rule": "contrast", "factors": [1.0, 1e30]}, r".*e\+30"),
        ({"rule": "noise", "level": 1e300}, "inf"),
        ({"rule": "noise", "levels": [0.0, 1e9]}, r".*e\+09"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_figures_that_overflow_name_the_shift(spec, figure):
    specs = (ShiftSpec(rule="permutation"), ShiftSpec.model_validate(spec))
    said = rf"shift {spec['rule']}, (factors|levels?)=.*: values of .* come to lie {figure} standard deviations from"
    with pytest.raises(RequestError, match=said):
        with_shifts(specs, FLOATS, make_partition("iid", {}, FLOATS, 5, 0), 0)


def test_much_noise_is_not_taken_for_an_overflow():
    much = (ShiftSpec.model_validate({"rule": "noise", "level": 100.0}),)
    assert with_shifts(much, FLOATS, make_partition("iid", {}, FLOATS, 5, 0), 0).alike is not None


def test_rules_say_what_data_they_are_for():
    data = load_dataset("synthetic:kind=table,n=200")
    specs = (ROTATION,)
    partition = deal_groups(specs, data, make_partition("iid", {}, data, 5, 0), 0)
    with pytest.raises(RequestError, match="shift rotation is for image; .* has table rows"):
        try_shifts(data, partition, specs, 0)
    specs = (ShiftSpec(rule="noise"),)
    assert (shifted(data, deal_groups(specs, data, partition, 0), specs, 0).train_inputs != data.train_inputs).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values, rng: values[:1], "type and shape must stay"),
        (lambda values, rng: values.astype(float), "shift mine made float64"),
        (lambda values, rng: None, "shift mine made NoneType"),
        (lambda values, rng: values.nothing, "shift mine: AttributeError"),
    ],
)
def test_a_rule_of_your_own_that_is_wrong_ends_before_anything_runs(change, message):
    @register_shift("mine", config=ShiftConfig, of="labels")
    def mine(config, context, groups, rng):
        return [change] * groups

    specs = (ShiftSpec(rule="mine"),)
    with pytest.raises(RequestError, match=message):
        try_shifts(DIGITS, dealt(*specs), specs, 0)


def test_a_partition_of_other_shifts_is_not_used():
    with pytest.raises(ValueError, match="the partition has groups of 0 shifts, the scenario 1"):
        shifted(DIGITS, dealt(), (ROTATION,), 0)
