import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pfl_bench.cli import tune as cli_tune
from pfl_bench.errors import RequestError
from pfl_bench.results.frame import read_runs
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.tuning import TRIALS_FILE, choose, draw_points, plan_trials, tune
from pfl_bench.spec.suite import load_suite, parse_suite

SUITE = """
name = "tiny"
seeds = "0-1"

[[scenario]]
id = "tiny-v1"
dataset = "digits"
partition = { rule = "classes", classes = 2, variant = "code" }
clients = 4
model = "mlp"
visits = 4
local_steps = 2
batch_size = 8
eval_every = 4

[search_space]
fedavg = { lr = [1e-9, 0.1] }
"""


@given(
    sizes=st.lists(st.integers(1, 5), max_size=3),
    trials=st.integers(1, 40),
)
def test_points_are_different_points_of_the_grid(sizes, trials):
    grid = {f"dimension{d}": list(range(size)) for d, size in enumerate(sizes)}
    points = draw_points(grid, trials)
    assert 1 <= len(points) <= min(trials, math.prod(sizes))
    assert all(point[name] in values for point in points for name, values in grid.items())
    assert len({tuple(point.values()) for point in points}) == len(points)
    assert points == draw_points(grid, trials + 5)[: len(points)]


def test_a_grid_of_one_dimension_is_tried_in_full():
    assert sorted(point["lr"] for point in draw_points({"lr": [1, 2, 3, 4]}, 4)) == [1, 2, 3, 4]
    assert sorted(point["lr"] for point in draw_points({"lr": [1, 2, 3, 4]}, 8)) == [1, 2, 3, 4]


def test_paper_table1_has_the_papers_grids():
    grids = load_suite("paper-table1").search_space
    assert {"pfedhn", "pfedhn_pc"}.isdisjoint(grids)
    for method in ("local", "fedavg", "fedavg_ft", "fedper", "pfedme", "lg_fedavg", "ditto"):
        assert list(grids[method]["lr"]) == [0.1, 0.05, 0.01, 0.005]
    for method, field in (("per_fedavg", "alpha"), ("pfedme", "personal_lr")):
        assert list(grids[method][field]) == [0.05, 0.01, 0.005, 0.001]


def test_the_suites_grid_comes_before_the_methods_own():
    suite = parse_suite(SUITE, "s.toml")
    trials = plan_trials(suite, suite.scenarios[0], ["fedavg", "local"], 8, 1000)
    assert [trial.values["lr"] for trial in trials if trial.run.method == "fedavg"] == [1e-9, 0.1]
    assert len([trial for trial in trials if trial.run.method == "local"]) == 8
    assert {trial.run.seed for trial in trials} == {1000}


def test_what_a_grid_does_not_vary_is_the_suites():
    text = SUITE + "[hyperparameters]\nfedavg = { lr = 0.3, cohort = 2 }\n"
    suite = parse_suite(text + '[hyperparameters_at."tiny-*"]\nfedavg = { momentum = 0.5 }\n', "s.toml")
    scenario = suite.scenarios[0].scaled(0.5)
    configs = [trial.run.config for trial in plan_trials(suite, scenario, ["fedavg"], 8, 1000)]
    assert [(c.lr, c.cohort, c.momentum) for c in configs] == [(1e-9, 2, 0.5), (0.1, 2, 0.5)]


def test_tuning_on_a_published_seed_is_refused():
    suite = parse_suite(SUITE, "s.toml")
    with pytest.raises(RequestError, match="--seed: 1 is one of the suite's own"):
        plan_trials(suite, suite.scenarios[0], ["fedavg"], 1, 1)


def test_best_is_the_highest_on_validation_and_ties_go_to_the_earlier():
    suite = parse_suite(SUITE, "s.toml")
    trials = plan_trials(suite, suite.scenarios[0], ["local"], 4, 1000)
    ids = [trial.run.id for trial in trials]
    chosen = choose(trials, dict(zip(ids, [math.nan, 50.0, 70.0, 70.0], strict=True)))
    assert chosen["local"].values == trials[2].values and chosen["local"].validation_accuracy == 70.0
    assert choose(trials, {ids[0]: math.nan}) == {}


def test_tuning_runs_records_and_resumes(tmp_path):
    suite = parse_suite(SUITE, "s.toml")
    trials = plan_trials(suite, suite.scenarios[0], ["fedavg"], 8, 1000)
    first = tune(suite, trials, tmp_path, SerialExecutor())
    folder = tmp_path / "tiny-tuning"
    table = (folder / TRIALS_FILE).read_bytes()
    assert first["fedavg"].values == {"lr": 0.1}  # 1e-9 learns nothing
    frame = read_runs(folder)
    assert set(frame["run_id"]) == {trial.run.id for trial in trials}
    assert first["fedavg"].validation_accuracy == frame["validation_accuracy"].max()
    assert tune(suite, trials, tmp_path, SerialExecutor()) == first
    assert (folder / TRIALS_FILE).read_bytes() == table


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["paper-table1", "--scenarios", "cifar10*"], "tune on one"),
        (["paper-table1", "--scenarios", "nothing"], "unknown scenario"),
        (["quick", "--precision", "fp64"], "unknown precision 'fp64'"),
        (["quick", "--budget-scale", "0"], "--budget-scale: 0.0 must be a positive number"),
        (["quick", "--executor", "spark"], "unknown executor"),
        (["quick", "--methods", "fedavgg"], "did you mean 'fedavg'"),
        (["quick", "--trials", "x"], "Invalid value for '--trials'"),
        (["quick", "--trials", "0"], "Invalid value for '--trials'"),
        (["quick", "--nonsense"], "No such option: --nonsense"),
        ([], "Missing argument 'suite'"),
        (["quick", "quick"], "unexpected extra argument"),
        (["quick", "--seed", "2"], "is one of the suite's own"),
    ],
)
def test_wrong_requests_are_one_clear_line(tmp_path, options, message, capsys):
    assert cli_tune.main([*options, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())
