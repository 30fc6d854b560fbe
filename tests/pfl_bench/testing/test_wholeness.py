"""What a folder lacks to be a submission."""

import pytest

from pfl_bench.results.frame import read_runs
from pfl_bench.spec.suite import builtin_suites
from pfl_bench.testing.wholeness import Ended, board_seeds, ended, lacks
from tests.ledgers import folder_with, record

QUICK = builtin_suites()["quick"]
SCENARIO = QUICK.scenarios[0].id


def runs(seeds, scenario=SCENARIO, config="aaa", method="fedavg"):
    return [Ended(method, scenario, seed, config) for seed in seeds]


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
        ([*range(10), 77], [f"fedavg has runs at seeds that are not the board's ({SCENARIO} at seed 77)"]),
    ],
)
def test_missing_and_other_seeds_are_named(seeds, said):
    assert list(lacks(runs(seeds), QUICK)) == said


def test_a_run_at_another_budget_is_no_run_of_the_board():
    said = list(lacks([*runs(range(9)), *runs([9], f"{SCENARIO}@0.5x")], QUICK))
    assert said[0] == f"fedavg has runs at another budget or precision ({SCENARIO}@0.5x)"
    assert said[1].endswith(f"{SCENARIO} at seed 9") and len(said) == 2


def test_two_halves_with_other_hyper_parameters_are_no_whole():
    """On their own: with a whole beside them they are welcome, as a suite's variants are."""
    halves = [*runs(range(5)), *runs(range(5, 10), config="bbb")]
    (said,) = lacks(halves, QUICK)
    assert said.endswith("at seeds 0, 1, 2, 3 and 4, with the hyper-parameters of its others there")
    assert list(lacks([*halves, *runs(range(10), config="ccc")], QUICK)) == []


def test_what_one_method_has_is_not_another_s():
    (said,) = lacks([*runs(range(7)), *runs(range(10), method="local")], QUICK)
    assert said.startswith("fedavg ") and said.endswith("at seeds 7, 8 and 9")


def test_of_scenarios_that_are_not_the_suite_s_nothing_is_said():
    assert list(lacks([*runs(range(10)), *runs([0], "other-v1")], QUICK)) == []


def test_scenarios_that_lack_the_same_seeds_are_named_together():
    board = builtin_suites()["board-v1"]
    every = [Ended("fedavg", name, seed, "a") for name, seeds in board_seeds(board).items() for seed in seeds]
    (said,) = lacks([run for run in every if run.seed != 2], board)
    assert said.endswith(" at seed 2") and said.count(" at seed") == 1
    (said,) = lacks([run for run in every if "wisdm" not in run.scenario], board)
    assert said.endswith("of board-wisdm-n36-v1 at seeds 0, 1, 2, 3, 4, 5, 6, 7 and 2 more")


def test_runs_that_have_not_ended_count_for_nothing(tmp_path):
    frame = read_runs(folder_with(tmp_path, record("a"), record("b", status="failed"), record("c", status="diverged")))
    assert {run.method for run in ended(frame)} == {"a", "c"}
    assert all(run.scenario == "sc-v1" and run.seed == 0 for run in ended(frame))
