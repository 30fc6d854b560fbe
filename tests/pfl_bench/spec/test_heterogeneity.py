"""Shifts and availability as parts of a scenario: read, refused, and in its identity only where they are used."""

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.spec.scenario import read_scenario
from pfl_bench.spec.suite import builtin_suites, parse_suite

BASE = {
    "id": "s-v1", "dataset": "digits", "partition": {"rule": "iid"}, "clients": 20, "model": "mlp", "visits": 100,
    "local_steps": 10, "batch_size": 8, "eval_every": 10,
}  # fmt: skip


def identity(**more):
    return read_scenario({**BASE, **more}, "here").identity()


def test_a_scenario_without_them_is_identified_as_before():
    assert not {"shift", "availability"} & set(identity())
    assert identity(shift=[], availability={}) == identity()
    assert identity(availability={"present": 1.0}) == identity(), "everybody is there: nothing is asked for"


def test_what_is_asked_for_counts_and_what_is_at_its_default_does_not():
    found = identity(shift=[{"rule": "rotation", "groups": 4, "deal": 0}, {"rule": "noise", "groups": 2, "level": 0.5}])
    assert found["shift"] == [{"rule": "rotation", "groups": 4}, {"rule": "noise", "level": 0.5}]
    assert identity(availability={"present": 0.5, "spread": 0.0})["availability"] == {"present": 0.5}
    turned = identity(shift=[{"rule": "rotation"}]), identity(shift=[{"rule": "inversion"}])
    assert turned[0] != turned[1] != identity()


def test_a_recorded_identity_reads_as_the_same_scenario():
    """Reports and comparisons build scenarios from run.json."""
    found = identity(shift=[{"rule": "rotation", "groups": 4}], availability={"present": 0.5, "stragglers": 0.1})
    assert read_scenario(found, "there").identity() == found


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"shift": {"rule": "rotation"}}, "shift="),
        ({"shift": [{"groups": 2}]}, r"shift\.0\.rule is missing"),
        ({"shift": [{"rule": "rotation", "groups": 0}]}, r"shift\.0\.groups=0"),
        ({"shift": [{"rule": "rotation", "groups": "all"}]}, r"shift\.0\.groups='all'"),
        ({"shift": [{"rule": "rotation", "deal": -1}]}, r"shift\.0\.deal=-1"),
        ({"availability": {"present": 0.0}}, r"availability\.present=0\.0"),
        ({"availability": {"present": 1.5}}, r"availability\.present=1\.5"),
        ({"availability": {"presnt": 0.5}}, "there is no field 'availability.presnt': did you mean 'present'"),
        ({"availability": {"stragglers": True}}, r"availability\.stragglers=True"),
        ({"availability": 0.7}, r"availability=0\.7"),
    ],
)
def test_wrong_ones_are_refused(more, message):
    with pytest.raises(RequestError, match=message) as told:
        read_scenario({**BASE, **more}, "here")
    assert "\n" not in str(told.value)


def test_toml_writes_them_as_tables():
    text = """
    name = "t"
    [[scenario]]
    id = "s-v1"
    dataset = "digits"
    partition = { rule = "iid", quantity = { law = "power" } }
    clients = 20
    model = "mlp"
    visits = 100
    local_steps = 10
    batch_size = 8
    eval_every = 10
    availability = { present = 0.7 }
    [[scenario.shift]]
    rule = "rotation"
    angles = [0, 45]
    [[scenario.shift]]
    rule = "permutation"
    groups = 3
    deal = 1
    """
    (scenario,) = parse_suite(text, "t.toml").scenarios
    assert [spec.rule for spec in scenario.shift] == ["rotation", "permutation"]
    assert scenario.shift[0].parameters == {"angles": [0, 45]} and scenario.availability.present == 0.7


def test_the_suites_shift_one_thing_at_a_time_beside_a_control():
    shifts, unreliable = (builtin_suites()[name].scenarios for name in ("shifts", "unreliable"))
    plain, *others = (s.model_dump(exclude={"id", "partition", "shift", "model"}) for s in shifts)
    assert all(other == plain for other in others)
    assert [s.id for s in shifts if s.model != "mlp"] == ["digits-contrast4-n20-v1"], "FedBN's needs BatchNorm"
    assert not shifts[0].shift and shifts[0].partition.rule == "iid"
    assert [s.availability.present for s in unreliable] == [1.0, 0.7, 0.4, 0.7]
    plain, *others = (s.model_dump(exclude={"id", "availability"}) for s in unreliable)
    assert all(other == plain for other in others)
