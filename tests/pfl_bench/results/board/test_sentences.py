"""Sentences of the findings where entries are level, results are missing, or there is little of anything."""

import numpy as np
import pandas as pd
import pytest

from pfl_bench.results.analyses.board import tables_of
from pfl_bench.results.board.basis import Basis, make_basis
from pfl_bench.results.board.findings import findings
from pfl_bench.results.board.said_of_entries import WATCHED, _agreement, watched

from .frames import IID, LABEL_SKEW, board
from .test_tables import NINE, clear

TWELVE = (
    "local",
    "fedavg",
    "fedavg_ft",
    "ditto",
    "fedper",
    "pfedhn",
    "apfl",
    "fedrep",
    "fedalt",
    "cfl",
    "ifca",
    "fedem",
)


def page(basis: Basis, trials: pd.DataFrame | None = None) -> str:
    return findings("made-up", tables_of(basis, trials))


def again(basis: Basis, runs: pd.DataFrame, definitions=NINE, held_out: tuple[str, ...] = ()) -> Basis:
    """A basis of some of the runs of another one, or of other figures of theirs."""
    return make_basis(runs.drop(columns="entry"), basis.clients.drop(columns="entry"), definitions, held_out)


def test_the_best_entry_of_a_kind_is_the_best_of_all_families():
    means = {"ditto": 80.0, "apfl": 60.0, "fedper": 72.0, "fedavg_ft": 70.0, "local": 65.0}
    text = page(board(lambda entry, position: means[entry], {"s0": LABEL_SKEW}, entries=tuple(means), noise=0.0))
    assert "in the family 'body and head', +2.0 points; the best entry of all there is ditto, +10.0." in text


def test_local_pays_where_it_is_better_than_the_control():
    text = page(board(lambda entry, position: 75.0 if entry == "local" else clear(entry, position) - 20, NINE))
    assert "Better than FedAvg-FT over scenarios: local" in text


def test_seeds_that_half_of_the_entries_have_are_left_out_and_nobody_s_runs_with_them():
    basis = board(clear, NINE, entries=("local", "fedavg_ft", "ditto", "fedper"), seeds=5)
    early = basis.runs["entry"].isin(["ditto", "fedper"]) | (basis.runs["seed"] < 3)
    half = again(basis, basis.runs[early])
    assert set(half.means) == {"local", "fedavg_ft", "ditto", "fedper"} and len(half.tables["s00"]) == 3
    assert "s00: seeds 3, 4, which no more than half of its entries have" in half.left_out


def test_a_control_with_some_of_its_seeds_did_take_part():
    basis = board(clear, NINE, seeds=5)
    few = again(basis, basis.runs[(basis.runs["entry"] != "fedavg_ft") | (basis.runs["seed"] < 3)])
    assert "FedAvg-FT has every seed of no scenario: nothing is tested against it." in page(few)


def test_where_no_run_has_a_figure_the_page_says_so_and_of_whom():
    basis = board(clear, {"s0": LABEL_SKEW})
    text = page(again(basis, basis.runs.assign(accuracy=np.nan), {"s0": LABEL_SKEW}))
    assert "On no scenario that claims may rest on has an entry finished every seed." in text
    assert "Without all of their results, without a figure (what ranks is undefined): ditto on s0, fedavg on s0" in text


def test_where_all_are_level_nobody_is_first_and_no_orders_are_compared():
    definitions = {**{f"s{i}": LABEL_SKEW for i in range(9)}, "kept-v1": IID}
    basis = board(lambda entry, at: 70.0, definitions, entries=TWELVE, seeds=7)
    text = page(again(basis, basis.runs.assign(accuracy=70.0), definitions, ("kept-v1",)))
    assert "apfl, cfl, ditto, fedalt, fedavg, fedavg_ft, fedem, fedper and 4 more have the best mean rank" in text
    assert "nan" not in text.replace("nan ", "nan") and "Spearman" not in text
    assert "On s0 nobody can be left out of those who may be the best, with 7 seeds." in text
    assert "of 12 entries only" not in text


def test_one_entry_wins_no_pairs_and_is_not_the_best_of_one():
    text = page(board(clear, {"s0": LABEL_SKEW}, entries=("local",), seeds=7))
    assert "local has the best mean rank, 1.0 of 1, over 1 scenario. (" in text and "may be the best" not in text


def test_data_of_one_source_have_no_others_and_can_be_told():
    text = page(board(clear, {name: {**own, "dataset": "mnist"} for name, own in NINE.items()}))
    assert "Their data come from 1 source (mnist 9): scenarios" in text


def test_names_of_variants_have_commas():
    basis = board(clear, {"s0": LABEL_SKEW}, entries=("local", "ditto"), seeds=7)
    own = basis.runs[basis.runs["entry"] == "ditto"]
    jitter = 0.01 * np.array([1, -1, 1, -1, 1, -1, 0])
    other = own.assign(run_id="x" + own["run_id"], config_hash="x", config='{"lr": 1, "mu": 2}',
                       accuracy=own["accuracy"] + jitter)  # fmt: skip
    runs = pd.concat([basis.runs.assign(config='{"lr": 3, "mu": 4}'), other], ignore_index=True)
    assert "of 3 entries only ditto (lr=1, mu=2) and ditto (lr=3, mu=4) may be the best" in page(
        again(basis, runs, {"s0": LABEL_SKEW})
    )


def test_seeds_of_tuning_that_are_the_runs_own_are_told():
    rows = [(s, m, k, seed, "finished") for s in NINE for m in ("local", "ditto") for k in range(8) for seed in (0, 1)]
    trials = pd.DataFrame(rows, columns=["scenario", "method", "config", "seed", "status"])
    told = "Tuned with 8 settings per entry and scenario at 2 seeds "
    assert told + "that are seeds of the runs below, too, on validation data. (" in page(board(clear, NINE), trials)
    apart = trials.assign(seed=trials["seed"] + 1000)
    text = page(board(clear, NINE), apart)
    assert told + "of their own, on validation data. (" in text and "or were skipped" not in text
    status = np.where((apart["method"] == "local") & (apart["config"] > 5), "diverged", "finished")
    text = page(board(clear, NINE), apart.assign(status=status))
    assert "Of 288 trials (a setting at a seed) 36 diverged, failed or were skipped: local (36)." in text


@pytest.mark.parametrize(("late", "told"), [(-1.0, "further behind where it was still rising"),
                                            (1.0, "and no other reason was tested")])  # fmt: skip
def test_whether_the_watched_method_is_behind_for_its_budget_is_told(late, told):
    """Of ten scenarios; it is behind more and more, and gains late where it is, or the other way round."""
    tables = dict(tables_of(board(clear, NINE)))
    names = [f"s{k}" for k in range(10)]
    gains = [-float(k) for k in range(10)]
    tables["gains"] = pd.DataFrame(
        {"scenario": names, "entry": WATCHED, "difference": gains, "low": 0.0, "high": 0.0, "kind": "none"}
    )
    tables["plateau"] = pd.DataFrame({"entry": WATCHED, "scenario": names, "gained_late": [late * g for g in gains]})
    tables["standing"] = tables["standing"].assign(entry=WATCHED)
    text = " ".join(watched(tables))
    assert f"correlation of {late:.2f} (p " in text and told in text and "(`plateau.csv`, `gains.csv`)" in text
    few = {**tables, "gains": tables["gains"].head(9)}
    ahead = {**tables, "gains": tables["gains"].assign(difference=[10 + g for g in gains])}
    assert "Spearman" not in " ".join(watched(few)) + " ".join(watched(ahead))


def test_who_broke_down_is_not_the_one_whose_clients_are_hurt_least():
    basis = board(clear, NINE)
    lost = (basis.runs["entry"] == "ditto") & (basis.runs["scenario"] == "s01") & (basis.runs["seed"] > 0)
    runs = basis.runs.assign(
        status=basis.runs["status"].mask(lost, "diverged"), accuracy=basis.runs["accuracy"].mask(lost)
    )
    hurt = tables_of(again(basis, runs))["hurt"].set_index("entry")
    assert hurt.loc["ditto", "scenarios"] == 8 and hurt.loc["fedper", "scenarios"] == 9


def test_runs_of_several_commits_are_told():
    basis = board(clear, NINE)
    commits = basis.runs["seed"].map({0: "a", 1: "a", 2: "b"})
    assert "The runs of a scenario were computed at 2 commits" in page(
        again(basis, basis.runs.assign(git_commit=commits))
    )
    assert "commits" not in page(again(basis, basis.runs.assign(git_commit="a")))


def test_one_gain_at_every_seed_is_above_the_noise_of_seeds():
    basis = board(clear, NINE)
    ahead = (basis.runs["entry"] == "ditto") & (basis.runs["scenario"] == "s01")
    level = basis.runs.assign(accuracy=70.0 + 5.0 * ahead)
    costs = tables_of(again(basis, level))["costs"].set_index("entry")
    assert costs.loc["ditto", "above"] == 1 and costs.loc["fedper", "above"] == 0


def test_the_note_of_the_entry_that_differs_most_is_the_reason():
    def mean(entry: str, position: int) -> float:
        return 70.0 + {"ditto": 3.0 * (position < 3), "fedper": 2.0 * (position < 5), "local": 1.0}.get(entry, 0.0)

    text = page(board(mean, {f"s{i}": LABEL_SKEW for i in range(5)}, entries=("fedavg_ft", "ditto", "fedper", "local"),
                      noise=0.0))  # fmt: skip
    assert "against FedAvg-FT over scenarios: 5 scenarios with a difference" in text


def test_the_interval_of_a_correlation_of_ranks_covers_as_often_as_it_says():
    rng, true, count, held = np.random.default_rng(0), 0.95, 49, 0
    pearson = 2 * np.sin(np.pi * true / 6)
    for _ in range(400):
        x = rng.normal(size=count)
        y = pearson * x + np.sqrt(1 - pearson**2) * rng.normal(size=count)
        _, low, high = _agreement(pd.Series(x).rank(), pd.Series(y).rank())
        held += low <= true <= high
    assert held >= 0.93 * 400
