import math

import pytest

from pfl_bench.running.tuning.choice import choose

GRID = {"lr": [0.3, 0.2, 0.1, 0.05, 0.03]}
POINTS = [{"lr": lr} for lr in GRID["lr"]]


@pytest.mark.parametrize(
    ("reached", "chosen"),
    [
        ([[80.0], [81.0], [82.0], [83.0], [90.0]], 0.03),  # the best, at an edge
        ([[90.0], [90.0], [90.0], [90.0], [90.0]], 0.1),  # a tie: the middle, not the first
        ([[90.0], [80.0], [80.0], [80.0], [90.0]], 0.3),  # both at an edge: the first
        ([[90.0], [89.9], [89.9], [80.0], [80.0]], 0.3),  # one seed says nothing of its noise
        ([[90, 88, 92], [80, 80, 80], [89, 91, 89], [80, 80, 80], [80, 80, 80]], 0.1),  # within a standard error
        ([[90, 88, 92], [80, 80, 80], [85, 83, 87.5], [80, 80, 80], [80, 80, 80]], 0.3),  # not within one
        ([[90, 90], [80, 80], [90, 60], [80, 80], [80, 80]], 0.3),  # as good at one of two seeds says nothing
        ([[80, 80], [80, 80], [70, 88], [90, 68], [80, 80]], 0.2),  # equal means: nearest to the middle
        ([[math.nan, 99.0], [80, 80], [70, 70], [60, 60], [50, 50]], 0.2),  # who fails at a seed is out
    ],
)
def test_the_best_or_what_cannot_be_told_from_it_nearer_to_the_middle(reached, chosen):
    choice = choose(POINTS, reached, GRID)
    assert choice is not None and choice.values == {"lr": chosen}
    own = reached[GRID["lr"].index(chosen)]
    assert choice.validation_accuracy == pytest.approx(sum(own) / len(own))


def test_of_two_tied_points_as_far_from_the_middle_the_better_is_chosen():
    choice = choose(POINTS, [[50] * 3, [90, 91, 90.5], [50] * 3, [91, 90.2, 90.5], [50] * 3], GRID)
    assert choice is not None and choice.values == {"lr": 0.05}


def test_where_every_point_failed_there_is_no_choice():
    assert choose(POINTS, [[math.nan]] * 5, GRID) is None
    assert choose([], [], GRID) is None
