"""What a folder lacks to be a submission."""

from dataclasses import replace

import pytest

from pfl_bench.results.record import read_record
from pfl_bench.spec.suite import builtin_suites
from pfl_bench.testing.wholeness import board_seeds, lacks
from tests.test_published import SUITES

QUICK = builtin_suites()["quick"]
SCENARIO = QUICK.scenarios[0].id


@pytest.fixture(scope="module")
def record():
    folder = next(folder for folder in SUITES if folder.name == "quick")
    return read_record(next(path for path in sorted((folder / "runs").iterdir()) if path.name.startswith("fedavg-")))


def with_seeds(record, seeds):
    return [replace(record, seed=seed) for seed in seeds]


def test_a_board_asks_the_seeds_that_its_entries_have():
    assert QUICK.seeds_of(SCENARIO) == [0, 1, 2]
    assert board_seeds(QUICK) == {SCENARIO: list(range(10))}


def test_seeds_that_few_have_are_not_asked():
    assert set(board_seeds(builtin_suites()["board-v1"])["board-absent-n20-v1"]) == set(range(5))


@pytest.mark.parametrize(
    ("seeds", "said"),
    [
        (range(10), []),
        (range(9), [f"fedavg has no run of {SCENARIO} at seed 9"]),
        (range(8), [f"fedavg has no run of {SCENARIO} at seeds 8 and 9"]),
        ([*range(10), 77], ["fedavg has runs at seeds that are not the board's (77)"]),
    ],
)
def test_missing_and_other_seeds_are_named(record, seeds, said):
    assert list(lacks(with_seeds(record, seeds), QUICK)) == said


def test_a_run_at_another_budget_is_no_run_of_the_board(record):
    short = replace(record, seed=9, scenario_id=f"{SCENARIO}@0.5x")
    assert list(lacks([*with_seeds(record, range(9)), short], QUICK)) == [
        f"fedavg has runs at another budget or precision ({SCENARIO}@0.5x)",
        f"fedavg has no run of {SCENARIO} at seed 9",
    ]


def test_what_one_method_has_is_not_another_s(record):
    other = [replace(one, method="local") for one in with_seeds(record, range(10))]
    few = with_seeds(record, range(7))
    assert list(lacks([*few, *other], QUICK)) == [f"fedavg has no run of {SCENARIO} at seeds 7, 8 and 9"]
