import enum
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.running.tuning.grid import at_edge, beyond, draw_points, from_middle, plain, refined, widened


class Kind(enum.Enum):
    one = 1
    ten = 10


@given(sizes=st.lists(st.integers(1, 5), max_size=3), trials=st.integers(1, 40), with_default=st.booleans())
def test_points_are_different_as_many_as_asked_or_all_that_there_are(sizes, trials, with_default):
    grid = {f"dimension{d}": list(range(size)) for d, size in enumerate(sizes)}
    default = dict.fromkeys(grid, -1) if with_default else None
    points = draw_points(grid, trials, default)
    beside = with_default and bool(grid)
    assert len(points) == min(trials, math.prod(sizes) + beside)
    assert len({tuple(point.values()) for point in points}) == len(points)
    if with_default:
        assert points[0] == default
    assert all(point[name] in values for point in points[beside:] for name, values in grid.items())
    assert points == draw_points(grid, trials + 5, default)[: len(points)]


def test_a_default_on_the_grid_is_one_trial_not_two():
    assert draw_points({"lr": [1, 2, 3, 4]}, 4, {"lr": 3, "momentum": 0.9}) == [{"lr": v} for v in (3, 1, 2, 4)]


def test_a_tuple_and_the_list_that_json_makes_of_it_are_one_value():
    assert draw_points({"sizes": [[1, 2], [3, 4]]}, 4, {"sizes": (1, 2)}) == [{"sizes": (1, 2)}, {"sizes": [3, 4]}]


@pytest.mark.parametrize(
    ("value", "values", "further"),
    [
        (0.1, [0.1, 0.05, 0.01], 0.2), (0.01, [0.1, 0.05, 0.01], 0.002), (0.05, [0.1, 0.05, 0.01], None),
        (0.3, [0.1, 0.05, 0.01], 0.9), (5, [1, 3, 5], 8), (1, [1, 3, 5], None), (2, [2, 4], 1), (4, [8, 4], 2),
        (3, [3, 8], 1), (1, [1, 2], None),
        ("fo", ["fo", "hf"], None), (True, [True, False], None), (0.0, [0.0, 1.0], None), (0.1, [0.1], None),
        (5.0, [0.0, 0.1, 1.0, 5.0], 25.0), (0.1, [0.0, 0.1, 1.0], None), (0.0, [0.0, 0.1, 1.0], None),
        (0.5, [0.0, 0.5], None), (4, [0, 1, 2], 8), (1.0, [-1.0, 0.5, 1.0], None),
    ],
)  # fmt: skip
def test_beyond_an_edge_the_grid_goes_on_at_its_own_ratio(value, values, further):
    """Whole numbers stay whole, and below 1 none follows."""
    assert beyond(value, values) == further


def test_a_grid_is_widened_only_where_the_point_is_at_an_edge():
    grid = {"lr": [0.1, 0.05, 0.01], "lam": [1.0, 5.0]}
    assert widened(grid, {"lr": 0.05, "lam": 5.0}) == {"lr": [0.1, 0.05, 0.01], "lam": [1.0, 5.0, 25.0]}
    assert widened({}, {}) == {}


def test_members_of_an_enumeration_and_their_values_are_one_point():
    assert plain({"kind": [Kind.one, "two"], "sizes": [(1, Kind.one)]}) == {"kind": [1, "two"], "sizes": [[1, 1]]}
    assert draw_points({"kind": list(Kind)}, 9, {"kind": 1}) == [{"kind": 1}, {"kind": Kind.ten}]


def test_what_the_method_does_not_take_is_not_between():
    assert refined({"kind": [1, 10]}, 8, lambda name, value: value in (1, 10)) == {"kind": [1, 10]}
    grid = {"kind": [1, 10], "lr": [0.1, 0.4]}
    assert refined(grid, 6, lambda name, value: name == "lr") == {"kind": [1, 10], "lr": [0.1, 0.4, 0.2]}


@pytest.mark.parametrize(("mu", "there"), [(0.0, []), (0.1, []), (1.0, ["mu"]), (2.0, ["mu"])])
def test_zero_is_no_edge(mu, there):
    assert at_edge({"mu": mu}, {"mu": [0.0, 0.1, 1.0]}) == there


def test_of_what_may_be_negative_zero_is_no_exception():
    assert at_edge({"mu": -1.0}, {"mu": [-1.0, 0.0]}) == ["mu"] == at_edge({"mu": 0.0}, {"mu": [-1.0, 0.0]})


def test_the_middle_is_by_order_not_by_size():
    grid = {"lr": [0.3, 0.2, 0.1, 0.05, 0.03]}
    assert [from_middle({"lr": lr}, grid) for lr in (0.1, 0.05, 0.3, 0.03, 9.0)] == [0, 0.5, 1, 1, 1]
    assert from_middle({"lr": 0.15}, grid) == pytest.approx(0.25), "beside the grid: between its neighbours"
    assert from_middle({"variant": "fo"}, {"variant": ["fo", "hf"]}) == 0
    assert from_middle({"lr": 0.3, "lam": 1.0}, {**grid, "lam": [1.0, 2.0, 3.0]}) == 2


@given(
    sizes=st.lists(st.integers(2, 6), min_size=1, max_size=3),
    trials=st.integers(1, 30),
    ratio=st.floats(2, 10),
)
def test_a_small_grid_is_refined_until_every_method_has_as_many_trials(sizes, trials, ratio):
    grid = {f"rate{d}": [float(f"{0.01 * ratio**k:.3g}") for k in range(size)] for d, size in enumerate(sizes)}
    found = refined(grid, trials)
    assert math.prod(map(len, found.values())) >= trials
    assert len(draw_points(found, trials)) == trials
    for name, values in found.items():
        assert values[: len(grid[name])] == grid[name] and len(set(values)) == len(values)
        assert (min(values), max(values)) == (min(grid[name]), max(grid[name])), "within its edges"


def test_what_has_no_room_is_left_as_it_is():
    assert refined({"k": [1, 3], "how": ["a", "b"]}, 12) == {"k": [1, 3, 2], "how": ["a", "b"]}
    assert refined({"on": [True, False], "mu": [0.0, 1.0]}, 9) == {"on": [True, False], "mu": [0.0, 1.0]}
    assert refined({"mu": [0.0, 0.01, 1.0]}, 4) == {"mu": [0.0, 0.01, 1.0, 0.1]}, "0 is no neighbour"
    assert refined({}, 5) == {} and refined({"lr": [0.1]}, 5) == {"lr": [0.1]}
    assert refined({"lr": [0.1, 0.2, 0.3]}, 3) == {"lr": [0.1, 0.2, 0.3]}, "enough is enough"
