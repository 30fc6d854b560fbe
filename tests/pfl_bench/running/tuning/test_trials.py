import json

import pandas as pd
import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.engine.events import Failure
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.results.frame import read_runs
from pfl_bench.running.executors.serial import SerialExecutor
from pfl_bench.running.tuning.table import TRIALS_FILE
from pfl_bench.running.tuning.trials import WIDENINGS, plan_trials, tune, tuning_ledger
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


def test_paper_table1_has_the_papers_grids():
    grids = load_suite("paper-table1").search_space
    assert {"pfedhn", "pfedhn_pc"}.isdisjoint(grids)
    for method in ("local", "fedavg", "fedavg_ft", "fedper", "pfedme", "lg_fedavg", "ditto"):
        assert list(grids[method]["lr"]) == [0.1, 0.05, 0.01, 0.005]
    for method, field in (("per_fedavg", "alpha"), ("pfedme", "personal_lr")):
        assert list(grids[method][field]) == [0.05, 0.01, 0.005, 0.001]


def runs_of(planned):
    return [run for trials in planned for run in trials.runs]


def test_the_suites_grid_comes_before_the_methods_own_and_the_default_before_both():
    suite = parse_suite(SUITE, "s.toml")
    fedavg, local = plan_trials(suite, suite.scenarios[0], ["fedavg", "local"], 8, [1000, 1001])
    assert [point["lr"] for point in fedavg.points] == [0.005, 1e-9, 0.1]
    assert local.points[0]["lr"] == 0.005 and len(local.points) == 8
    assert len(fedavg.runs) == 6 and {run.seed for run in fedavg.runs} == {1000, 1001}


def test_what_a_grid_does_not_vary_is_the_suites():
    text = SUITE + "[hyperparameters]\nfedavg = { lr = 0.3, cohort = 2 }\n"
    suite = parse_suite(text + '[hyperparameters_at."tiny-*"]\nfedavg = { momentum = 0.5 }\n', "s.toml")
    scenario = suite.scenarios[0].scaled(0.5)
    configs = [run.config for run in runs_of(plan_trials(suite, scenario, ["fedavg"], 8, [1000]))]
    assert [(c.lr, c.cohort, c.momentum) for c in configs] == [(0.005, 2, 0.5), (1e-9, 2, 0.5), (0.1, 2, 0.5)]


def test_the_size_of_a_cohort_may_be_tuned():
    suite = parse_suite(SUITE.replace("lr = [1e-9, 0.1]", "cohort = [1, 2, 4]"), "s.toml")
    (trials,) = plan_trials(suite, suite.scenarios[0], ["fedavg"], 8, [1000])
    assert sorted(run.config.cohort for run in trials.runs) == [1, 2, 4, 5]


@pytest.mark.parametrize("method", ["pfedme", "per_fedavg"])
def test_steps_without_momentum_have_a_grid_of_their_own(method):
    grid = METHODS.get(method).search_space
    assert max(grid["personal_lr" if method == "pfedme" else "beta"]) >= 0.3
    if method == "pfedme":
        assert 1 in grid["inner_steps"], "K is paid for by the budget"


def test_tuning_on_a_published_seed_is_refused():
    suite = parse_suite(SUITE, "s.toml")
    with pytest.raises(RequestError, match="seed 1 is one of the suite's own"):
        plan_trials(suite, suite.scenarios[0], ["fedavg"], 1, [1000, 1])


def test_a_grid_with_an_unknown_name_is_refused():
    suite = parse_suite(SUITE.replace("lr = [", "rate = ["), "s.toml")
    with pytest.raises(RequestError, match="unknown hyper-parameter of fedavg 'rate'"):
        plan_trials(suite, suite.scenarios[0], ["fedavg"], 1, [1000])


def test_tuning_runs_widens_records_and_resumes(tmp_path):
    """1e-9 learns nothing, so the choice is at the upper edge, and beyond it there is more to try."""
    suite = parse_suite(SUITE, "s.toml")
    planned = plan_trials(suite, suite.scenarios[0], ["fedavg"], 8, [1000, 1001])
    ledger = tuning_ledger(suite, tmp_path)
    tuned = tune(planned, ledger, SerialExecutor())
    assert not tuned.failed and not tuned.absent
    chosen, folder = tuned.choices["tiny-v1", "fedavg"], tmp_path / "tiny-tuning"
    table = (folder / TRIALS_FILE).read_bytes()
    frame = read_runs(folder)
    assert {run.id for run in runs_of(planned)} < set(frame["run_id"])
    assert len(frame) <= 2 * (len(planned[0].points) + WIDENINGS)
    of_choice = frame["config"].map(json.loads).map(lambda config: config["lr"]) == chosen.values["lr"]
    assert chosen.values["lr"] >= 0.1
    assert chosen.validation_accuracy == pytest.approx(frame["validation_accuracy"][of_choice].mean())
    assert tune(planned, ledger, SerialExecutor()) == tuned
    assert (folder / TRIALS_FILE).read_bytes() == table


def test_a_run_that_diverged_is_not_chosen_for_what_it_was_before(tmp_path, monkeypatch):
    suite = parse_suite(SUITE, "s.toml")
    planned = plan_trials(suite, suite.scenarios[0], ["fedavg"], 8, [1000])
    ledger = tuning_ledger(suite, tmp_path)
    tune(planned, ledger, SerialExecutor())
    frame = read_runs(ledger.folder)
    best = frame["validation_accuracy"].idxmax()
    frame.loc[best, "status"] = "diverged"
    monkeypatch.setattr("pfl_bench.running.tuning.trials._run", lambda *_: frame)
    (choice,) = tune(planned, ledger, SerialExecutor()).choices.values()
    assert choice.validation_accuracy < frame.loc[best, "validation_accuracy"]


def test_trials_that_are_known_are_not_run_again(tmp_path, monkeypatch):
    (tmp_path / "s.toml").write_text(SUITE)
    asked = ["tune", str(tmp_path / "s.toml"), "--methods", "fedavg", "--seeds", "1000", "--executor", "serial"]
    assert run_command_line([*asked, "--out", str(tmp_path / "a")]) == 0
    first, own = (tmp_path / name / "tiny-tuning" for name in ("a", "b"))
    rows = (first / TRIALS_FILE).read_text().splitlines()
    (tmp_path / "part.csv").write_text("\n".join(rows[:-1]) + "\n")
    assert run_command_line([*asked, "--out", str(tmp_path / "b"), "--known", str(tmp_path / "part.csv")]) == 0
    assert [path.name for path in (own / "runs").iterdir()] == [rows[-1].partition(",")[0]]
    assert sorted((own / TRIALS_FILE).read_text().splitlines()) == sorted(rows)
    assert (own / "tuned.toml").read_text() == (first / "tuned.toml").read_text()
    known = str(first / TRIALS_FILE)
    assert run_command_line([*asked, "--out", str(tmp_path / "c"), "--known", known]) == 0
    assert not list((tmp_path / "c" / "tiny-tuning").glob("runs/*"))


def test_known_trials_stay_in_the_table_and_come_before_the_ledgers_own(tmp_path):
    (tmp_path / "s.toml").write_text(SUITE)
    asked = ["tune", str(tmp_path / "s.toml"), "--seeds", "1000", "--executor", "serial", "--trials", "1"]
    asked += ["--out", str(tmp_path), "--methods"]
    assert run_command_line([*asked, "fedavg"]) == 0
    place = tmp_path / "tiny-tuning" / TRIALS_FILE
    table = pd.read_csv(place, dtype=str)
    other = table.tail(1).assign(run_id="elsewhere-s1000-0123456789ab", method="elsewhere")
    changed = table.assign(validation_accuracy="12.5")
    pd.concat([changed, other]).to_csv(tmp_path / "known.csv", index=False)
    assert run_command_line([*asked, "fedavg", "--known", str(tmp_path / "known.csv")]) == 0
    assert set(pd.read_csv(place)["validation_accuracy"][:-1]) == {12.5}, "what is known is not reviewed, and wins"
    assert run_command_line([*asked, "local"]) == 0
    assert "elsewhere-s1000-0123456789ab" in set(pd.read_csv(place)["run_id"])


def test_trials_of_other_code_are_not_in_the_table(tmp_path):
    """1e-9 was computed by another text of the method, and is not on the grid any more."""
    asked = ["tune", str(tmp_path / "s.toml"), "--methods", "fedavg", "--seeds", "1000", "--executor", "serial"]
    asked += ["--out", str(tmp_path)]
    (tmp_path / "s.toml").write_text(SUITE)
    assert run_command_line(asked) == 0
    runs, place = tmp_path / "tiny-tuning" / "runs", tmp_path / "tiny-tuning" / TRIALS_FILE
    records = {path: json.loads(path.read_text()) for path in runs.glob("*/run.json")}
    (path,) = (path for path, record in records.items() if record["config"]["lr"] == 1e-9)
    (tmp_path / "s.toml").write_text(SUITE.replace("1e-9, ", ""))
    assert run_command_line(asked) == 0 and path.parent.name in set(pd.read_csv(place)["run_id"])
    sources = {key: "0" * 64 if key.startswith("method:") else sha for key, sha in records[path]["sources"].items()}
    path.write_text(json.dumps({**records[path], "sources": sources}))
    assert run_command_line(asked) == 0
    assert set(pd.read_csv(place)["run_id"]) == {own.parent.name for own in records} - {path.parent.name}


@pytest.mark.parametrize(("text", "said"), [(None, "is not readable"), ("a,b\n", "lacks the column run_id")])
def test_a_table_of_trials_that_is_none(tmp_path, text, said, capsys):
    if text is not None:
        (tmp_path / "t.csv").write_text(text)
    (tmp_path / "s.toml").write_text(SUITE)
    asked = ["tune", str(tmp_path / "s.toml"), "--out", str(tmp_path), "--known", str(tmp_path / "t.csv")]
    assert run_command_line(asked) == 2 and said in capsys.readouterr().err


def test_a_value_beyond_what_a_field_allows_is_not_tried():
    """Ditto's share of the personal model must be below 1, and so nothing follows 0.9."""
    suite = parse_suite(SUITE.replace("fedavg = { lr = [1e-9, 0.1] }", "ditto = { personal_share = [0.5, 0.9] }"), "s")
    (trials,) = plan_trials(suite, suite.scenarios[0], ["ditto"], 8, [1000])
    assert trials.widened({"personal_share": 0.9}) is trials
    assert trials.widened({"personal_share": 0.5}).points[-1] == {"personal_share": 0.278}


def test_a_value_that_is_refused_is_not_taken_up_while_another_one_is():
    """So that 0.75 stays the edge, which is named where it is chosen."""
    grid = "apfl = { lr = [0.005, 0.05], alpha = [0.25, 0.5, 0.75] }"
    suite = parse_suite(SUITE.replace("fedavg = { lr = [1e-9, 0.1] }", grid), "s")
    (trials,) = plan_trials(suite, suite.scenarios[0], ["apfl"], 8, [1000])
    grid = trials.widened({"lr": 0.005, "alpha": 0.75}).grid
    assert len(grid["lr"]) == 3 and grid["alpha"] == [0.25, 0.5, 0.75]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["paper-table1", "--scenarios", "nothing"], "unknown scenario"),
        (["quick", "--precision", "fp64"], "unknown precision 'fp64'"),
        (["quick", "--budget-scale", "0"], "--budget-scale: 0.0 must be a positive number"),
        (["quick", "--executor", "spark"], "unknown executor"),
        (["quick", "--methods", "fedavgg"], "did you mean 'fedavg'"),
        (["quick", "--trials", "x"], "Invalid value for '--trials'"),
        (["quick", "--trials", "0"], "Invalid value for '--trials'"),
        (["quick", "--nonsense"], "No such option: --nonsense"),
        ([], "Missing argument 'SUITE...'"),
        (["quick", "--seeds", "3-1"], "--seeds: '3-1' is not a number"),
        (["quick", "--seeds", "2"], "is one of the suite's own"),
    ],
)
def test_wrong_requests_are_one_clear_line(tmp_path, options, message, capsys):
    assert run_command_line(["tune", *options, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ") and message in said and said.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_what_failed_is_not_tried_again_when_the_grid_is_widened(tmp_path):
    class Failing(SerialExecutor):
        def execute(self, jobs, datasets, take):
            for position, job in enumerate(jobs):
                tried.append(job.spec.id)
                if job.spec.config.lr == 0.07 and take(position, job) is not None:
                    yield position, Failure("no", "no")
                else:
                    for _, event in super().execute([job], datasets, lambda _, own, at=position: take(at, own)):
                        yield position, event

    tried: list[str] = []
    suite = parse_suite(SUITE.replace("[1e-9, 0.1]", "[0.05, 0.07, 0.1]"), "s.toml")
    planned = plan_trials(suite, suite.scenarios[0], ["fedavg"], 4, [1000])
    found = tune(planned, tuning_ledger(suite, tmp_path), Failing())
    assert len(found.failed) == 1 and len(tried) == len(set(tried)) > 3
