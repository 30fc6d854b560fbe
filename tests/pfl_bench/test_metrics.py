import json

import numpy as np
import pytest

from pfl_bench import metrics
from pfl_bench.engine.evaluation import Scores
from pfl_bench.metrics import Metric, accuracies, summarise, worst_decile
from pfl_bench.results import columns
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.render import to_markdown
from pfl_bench.running.job import make_job
from pfl_bench.tallies import Tally
from pfl_bench.testing.kit import EVERY_ROUND, finish
from pfl_bench.testing.setup import tiny_setup
from tests.ledgers import folder_with, record

SCORES = Scores(np.array([0, 5, 10, 3]), np.array([10, 10, 10, 30]), np.array([3.0, 1.0, 0.0, 2.0]))


def test_the_figures_over_clients():
    assert accuracies(SCORES).tolist() == [0, 50, 100, 10]
    assert summarise(SCORES) == {
        "accuracy": 30.0,  # 18 of 60 samples
        "client_mean": 40.0,
        "client_std": pytest.approx(np.sqrt((40**2 + 10**2 + 60**2 + 30**2) / 4)),
        "worst_decile": 0.0,
        "client_min": 0.0,
        "loss": 1.5,
        "log_loss": pytest.approx((30 + 10 + 60) / 60),
    }


def test_worst_decile_is_over_at_least_one():
    assert worst_decile(np.arange(5.0)) == 0 and worst_decile(np.arange(20.0)[::-1]) == 0.5


def test_a_further_metric_is_one_entry(tmp_path, monkeypatch):
    """Evaluation computes it, and the frame and the tables show it."""
    best = Metric(
        "client_max", lambda scores: float(accuracies(scores).max()), "best client", "its own", shown="everywhere"
    )
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, best))
    summary = Scores(SCORES.correct, SCORES.total, SCORES.loss).summary()
    assert summary["client_max"] == 100.0
    run = json.loads(json.dumps(record()))
    run["summary"]["global"]["best"] |= summary
    runs = read_runs(folder_with(tmp_path, run, record(seed=1)))
    assert runs["client_max"].tolist()[0] == 100.0 and np.isnan(runs["client_max"].iloc[1]), "older runs lack it"
    markdown = to_markdown(leaderboard(runs))
    assert "| worst decile | best client | last |" in markdown and "| 100.00 |" in markdown
    assert columns.keys_of(columns.scores())[: len(metrics.METRICS)] == [metric.key for metric in metrics.METRICS]


def second_guess(logits, labels, real):
    return ((logits.topk(2).indices == labels.unsqueeze(-1)).any(-1) & real).sum(1)


def test_a_metric_may_take_something_else_of_every_sample(monkeypatch):
    """One entry again: evaluation sums it up per client, and history, summary and the table's columns have it."""
    top2 = Metric("top2", lambda scores: 100.0 * float(scores.sums["second"].sum() / scores.total.sum()), "top 2",
                  "a label among the first two", tally=Tally("second", second_guess))  # fmt: skip
    monkeypatch.setattr(metrics, "METRICS", (*metrics.METRICS, top2))
    setup = tiny_setup()
    result, checkpoints = finish(make_job(setup.spec("fedper"), setup.partition, EVERY_ROUND), setup.dataset)
    last = result.summary["received"]["last"]
    assert last["accuracy"] < last["top2"] <= 100 or last["accuracy"] == last["top2"] == 100
    assert all(row["top2"] >= row["accuracy"] for row in result.history)
    again, _ = finish(
        make_job(setup.spec("fedper"), setup.partition, EVERY_ROUND).going_on_from(checkpoints[-1]), setup.dataset
    )
    assert again.summary == result.summary, "a checkpoint keeps it"
    assert "top2" in columns.keys_of(columns.catalogue())
