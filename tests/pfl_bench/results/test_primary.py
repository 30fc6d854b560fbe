"""A scenario's primary metric chooses on validation and ranks; all else of a run stays."""

import math

import numpy as np
import pandas as pd
import pytest

from pfl_bench.engine.evaluation import Scores
from pfl_bench.engine.selection import remember, summarise
from pfl_bench.errors import RequestError
from pfl_bench.metrics import leading
from pfl_bench.results.comparison import compare
from pfl_bench.results.display import report_columns, text_columns
from pfl_bench.results.files import Unreadable
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.overall import overall
from pfl_bench.results.primary import by_primary
from pfl_bench.results.publish import publish
from pfl_bench.results.record import read_record
from pfl_bench.results.report.collect import collect
from pfl_bench.results.run_tables import read_history
from pfl_bench.running.job import make_job
from pfl_bench.spec.scenario import read_scenario
from pfl_bench.testing.kit import EVERY_ROUND, finish
from pfl_bench.testing.setup import tiny_setup
from tests.ledgers import folder_with, history_rows, id_of, record, save

SCENARIO = {"id": "sc-v1", "visits": 100, "local_steps": 5, "budget_scale": 0.1, "precision": "fp32"}


def run(method, seed, accuracy, f1, primary="macro_f1", **more):
    """A record whose scores by the two metrics disagree."""
    made = record(method, seed, accuracy, **more)
    made["scenario"] = {**SCENARIO, "primary": primary} if primary else SCENARIO
    made["summary"]["global"]["best"] |= {"macro_f1": f1, "validation_primary": f1 + 1}
    return made


def test_it_chooses_among_the_evaluations():
    def scores(accuracy, worst):
        correct = np.array([worst, 2 * accuracy - worst])
        return Scores(correct, np.array([100, 100]), np.zeros(2))

    def chosen(primary):
        picks = {}
        for visits, (accuracy, worst) in enumerate([(60, 40), (70, 10), (50, 45)], start=1):
            remember(picks, "global", visits, scores(accuracy, worst), scores(accuracy, worst), primary=primary)
        return summarise(picks, [1, 1])[0]["global"]["best"]

    assert chosen("accuracy")["visits"] == 2 and "validation_primary" not in chosen("accuracy")
    found = chosen("client_min")
    assert found["visits"] == 3 and found["validation_primary"] == 45 and found["validation_accuracy"] == 50


def test_an_evaluation_without_the_metric_is_the_last_choice():
    picks = {}
    for visits, value in enumerate([math.nan, 3.0, math.nan], start=1):
        own = Scores(np.array([1]), np.array([2]), np.array([value]))
        object.__setattr__(own, "summary", lambda value=value: {"accuracy": 50.0, "auc": value})
        remember(picks, "global", visits, own, own, primary="auc")
    assert picks["global/best"]["visits"] == 2


def test_a_run_says_what_chose_and_its_folder_agrees_with_itself(tmp_path):
    setup = tiny_setup().but(primary="balanced_accuracy")
    spec = setup.spec("fedper")
    assert spec.id != tiny_setup().spec("fedper").id and spec.scenario.identity()["primary"] == "balanced_accuracy"
    assert "primary" not in tiny_setup().scenario.identity()
    job = make_job(spec, setup.partition, EVERY_ROUND)
    result, checkpoints = finish(job, setup.dataset)
    best = result.summary["received"]["best"]
    on_validation = [r for r in result.history if (r["moment"], r["split"]) == ("received", "validation")]
    assert best["validation_primary"] == max(row["balanced_accuracy"] for row in on_validation)
    assert finish(job.going_on_from(checkpoints[-1]), setup.dataset)[0].summary == result.summary
    ledger, own = Ledger(tmp_path), record("fedper", official_moment="received", scenario="tiny-v1")
    own |= {"scenario": spec.scenario.identity(), "summary": result.summary, "costs": result.facts["costs"]}
    with ledger.lock():
        place = save(ledger, own, history=result.history, tables={"clients": result.clients, **result.tables})
    assert read_record(place).official.best == best
    for key, table in (("validation_primary", "history"), ("union_accuracy", "union")):
        edited = {**own, "summary": {"received": {k: dict(v) for k, v in result.summary["received"].items()}}}
        edited["summary"]["received"]["last" if table == "union" else "best"][key] = 12.5
        ledger.save(id_of(edited), edited, history=result.history, tables={"clients": result.clients, **result.tables})
        with pytest.raises(Unreadable, match=rf"{key} is 12.5 in run.json and .* {table}.csv"):
            read_record(place)


def test_it_ranks_everywhere(tmp_path):
    """By accuracy ``a`` is ahead, by the primary metric ``b``: in the table, over all scenarios, in comparisons."""
    runs = [run(m, s, acc + s, f1 - s) for m, acc, f1 in (("a", 80.0, 40.0), ("b", 60.0, 55.0)) for s in range(7)]
    frame = read_runs(folder_with(tmp_path / "s", *runs))
    assert frame["accuracy"].max() == 86 and set(frame["primary"]) == {"macro_f1"}
    table = leaderboard(frame).set_index("method")
    assert table["rank"].to_dict() == {"b": 1, "a": 2} and table.loc["b", "accuracy_mean"] == 52.0
    assert table.loc["b", "pooled_accuracy"] == 63.0 and table.loc["a", "versus_best"] == "worse"
    assert table.loc["b", "validation_accuracy"] == 53.0, "what it was chosen by"
    assert overall(frame).ranking.mean_ranks["b"] == 1.0
    better = read_runs(folder_with(tmp_path / "t", *(run("a", s, 50.0 + s, 60.0 - s) for s in range(7))))
    (moved,) = [cell for cell in compare(frame, better) if cell.entry == "a"]
    assert moved.difference == 20.0
    pd.testing.assert_frame_equal(by_primary(by_primary(frame)), by_primary(frame))
    for shown in (text_columns(leaderboard(frame)), report_columns(leaderboard(frame))):
        assert {"macro F1", "pooled accuracy"} <= {column.title for column in shown}
        assert "accuracy" not in {column.title for column in shown}
    publish(tmp_path / "s", ("csv", "md", "tex", "html"))
    text = (tmp_path / "s" / "leaderboard.md").read_text()
    assert "| macro F1 |" in text and "ranked by macro F1" in text and "**52.00 ± 2.16**" in text
    assert "primary" in pd.read_csv(tmp_path / "s" / "runs.csv")


def test_curves_and_costs_are_of_it(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        for made, f1 in ((run("a", 0, 50.0, 30.0), 30.0), (run("a", 1, 50.0, 30.0, primary=None), 30.0)):
            rows = [row | {"macro_f1": f1} for row in history_rows(50.0)]
            save(ledger, made, history=rows)
    runs = read_runs(tmp_path)
    history, problems = read_history(tmp_path, runs)
    assert not problems and history.groupby("seed")["accuracy"].max().to_dict() == {0: 30.0, 1: 50.0}
    assert collect(tmp_path).runs["accuracy"].tolist() == [30.0, 50.0]


def test_what_cannot_rank_is_refused():
    table = tiny_setup().scenario.model_dump(mode="json")
    assert {"accuracy", "balanced_accuracy", "macro_f1", "auc", "client_mean", "worst_decile"} <= set(leading())
    for wrong in ("log_loss", "calibration_error", "f1", ""):
        with pytest.raises(RequestError, match=rf"primary: '{wrong}' is no metric that ranks; those are accuracy, "):
            read_scenario({**table, "primary": wrong}, "s.toml")


def test_a_run_ranked_by_something_unheard_of_is_left_out(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        place = save(ledger, run("a", 0, 50.0, 30.0, primary="brier"))
    with pytest.raises(Unreadable, match="its primary metric 'brier' is none of accuracy"):
        read_record(place)
