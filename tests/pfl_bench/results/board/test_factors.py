import pytest

from pfl_bench.registry import METHODS, SHIFTS
from pfl_bench.results.board.factors import KINDS, _table, families, family_of, kind_of
from pfl_bench.spec.suite import builtin_suites


def test_every_shipped_method_is_in_one_family():
    named = [method for methods in families().values() for method in methods]
    assert sorted(named) == sorted(METHODS.names())
    assert family_of("fedavg") == "one model" and family_of("a plug-in's") == "other"


def test_every_shift_of_labels_is_known_as_one():
    of_labels = [name for name in SHIFTS.names() if SHIFTS.get(name).of == "labels"]
    assert sorted(_table()["shifts"]["labels"]) == sorted(of_labels)


@pytest.mark.parametrize(
    ("scenario", "kind"),
    [
        ({}, "none"), ({"partition": {"rule": "iid"}}, "none"),
        ({"partition": {"rule": "dirichlet", "alpha": 0.1}}, "label skew"),
        ({"partition": {"rule": "dirichlet", "alpha": 1.0}}, "mild label skew"),
        ({"partition": {"rule": "classes", "classes": 2}}, "label skew"),
        ({"partition": {"rule": "iid", "quantity": {"law": "power"}}}, "quantity skew"),
        ({"partition": {"rule": "iid"}, "shift": [{"rule": "rotation"}]}, "feature shift"),
        ({"partition": {"rule": "iid"}, "shift": [{"rule": "rotation"}, {"rule": "permutation"}]}, "concept shift"),
        ({"partition": {"rule": "natural"}}, "natural clients"),
        ({"partition": {"rule": "classes"}, "availability": {"present": 0.4}}, "absent clients"),
    ],
)  # fmt: skip
def test_kinds_follow_from_the_definition(scenario, kind):
    assert kind_of(scenario) == kind


def test_the_board_has_every_kind():
    suite = builtin_suites()["board-v1"]
    kinds = [kind_of(scenario.identity()) for scenario in suite.scenarios if scenario.id not in suite.held_out]
    assert set(kinds) == set(KINDS)
