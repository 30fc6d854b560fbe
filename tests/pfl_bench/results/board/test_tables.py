"""The tables of a board, on frames whose answers are known."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from pfl_bench.results.analyses.board import tables_of
from pfl_bench.results.board.basis import make_basis
from pfl_bench.results.board.findings import findings
from pfl_bench.results.board.tables import controls_table, held_out_table, ranking_of, ranks_table, standing_table

from .frames import ENTRIES, IID, LABEL_SKEW, board

NINE = {f"s{i:02}": LABEL_SKEW if i % 2 else IID for i in range(9)}


def clear(entry, position):
    """Ditto is best everywhere, FedPer is a little behind FedAvg-FT, Local is last."""
    level = 60 + 2 * position
    return level + {"ditto": 15, "fedavg_ft": 10, "fedper": 9, "fedavg": 8, "pfedhn": 5, "local": 0}[entry]


@pytest.fixture(scope="module")
def tables():
    return tables_of(board(clear, NINE))


def test_scenarios_say_their_kind_and_whether_they_tell(tables):
    own = tables["scenarios"].set_index("scenario")
    assert own["kind"].value_counts().to_dict() == {"none": 5, "label skew": 4}
    assert (own["best_entry"] == "ditto").all() and own["tells"].all() and (own["seeds"] == 3).all()
    assert own["spread"].to_numpy() == pytest.approx([15] * 9, abs=0.5)


def test_ranks_wins_and_distance_to_the_best(tables):
    own = tables["standing"].set_index("entry")
    assert own["mean_rank"].to_dict() == {e: k for k, e in enumerate(
        ("ditto", "fedavg_ft", "fedper", "fedavg", "pfedhn", "local"), 1)}  # fmt: skip
    assert own.loc["ditto", "win_rate"] == 100 and own.loc["local", "win_rate"] == 0
    assert own.loc["local", "improvability"] == 100 and own.loc["ditto", "improvability"] == 0
    assert own.loc["fedavg_ft", "improvability"] == pytest.approx(100 / 3, abs=1)
    assert own.loc["ditto", "first_in"] == 9 and len(own) == len(ENTRIES)
    assert tables["ranks"]["critical_difference"].iloc[0] == pytest.approx(2.51, abs=0.01)


def test_every_entry_against_both_controls(tables):
    own = tables["controls"].set_index(["control", "entry"])
    assert own.loc[("fedavg_ft", "ditto"), "verdict"] == "better"
    assert own.loc[("fedavg_ft", "fedper"), "verdict"] == "worse"
    assert (own.loc["local"]["verdict"] == "better").all() and len(own) == 10
    assert own.loc[("fedavg_ft", "ditto"), "adjusted"] == pytest.approx(5 * 2 / 2**9)


def test_what_pays(tables):
    own = tables["factors"].set_index(["control", "family", "kind"])
    row = own.loc[("fedavg_ft", "own and shared model", "all")]
    assert row["difference"] == pytest.approx(5, abs=0.2) and row["best_entry"] == "ditto" and row["adjusted"] < 0.05
    assert own.loc[("fedavg_ft", "own and shared model", "none"), "scenarios"] == 5
    assert math.isnan(own.loc[("fedavg_ft", "own and shared model", "none"), "adjusted"])
    hurt = tables["hurt"].set_index("entry")
    assert hurt.loc["ditto", "worse_than_local"] == 0 and math.isnan(hurt.loc["local", "worse_than_local"])


def test_costs_are_multiples_of_the_control_s(tables):
    own = tables["costs"].set_index("entry")
    assert own.loc["ditto", "bytes"] == 1.5 and own.loc["local", "bytes"] == 0
    assert own.loc["fedper", "gradients"] == pytest.approx(1000 / 1200), "one adaptation of ten"
    assert own.loc["ditto", "state"] == math.inf and math.isnan(own.loc["ditto", "forward_samples"])
    assert own.loc["ditto", ["dearer_in", "above", "perhaps_above"]].tolist() == ["bytes, gradients", 4, 4]
    assert own.loc["ditto", "megabytes"] == pytest.approx(300e-6) and own.loc["local", "megabytes"] == 0
    assert own["verdict"].to_dict() == {e: "pays" if e == "ditto" else "" for e in own.index}, "no other one is dearer"
    assert set(own.index[own["on_front"]]) == {"ditto", "fedavg_ft", "local"}


def test_what_is_held_out_is_part_of_no_claim():
    basis = board(clear, {**NINE, "kept-v1": IID}, held_out=("kept-v1",))
    assert "kept-v1" not in basis.kinds and set(basis.tables) == set(basis.kinds) == set(NINE)
    assert not basis.clients["scenario"].eq("kept-v1").any()
    own = held_out_table(basis, standing_table(basis, ranking_of(basis))).set_index("entry")
    assert own["rank"].tolist() == [1, 2, 3, 4, 5, 6] and own["mean_rank_on_board"].tolist() == own["rank"].tolist()
    assert own.loc["ditto", "low"] > 0 > own.loc["fedper", "high"]


def test_who_is_dearer_and_no_better_never_pays_unless_that_cannot_be_told():
    def level(entry, position):
        return 60 + 2 * position - (2 if entry == "ditto" else 0)

    def verdicts(mean, noise, definitions=NINE):
        return tables_of(board(mean, definitions, noise=noise))["costs"].set_index("entry")["verdict"]

    def here_and_there(entry, position):
        return 70 + (entry == "ditto") * 4 * (-1) ** position

    assert verdicts(level, 0.1)["ditto"] == "never pays" and verdicts(here_and_there, 3.0)["ditto"] == "cannot tell"
    assert verdicts(here_and_there, 0.1)["ditto"] == "cannot tell", "above in the control without heterogeneity only"
    shifted = dict.fromkeys(NINE, LABEL_SKEW)
    assert verdicts(here_and_there, 0.1, shifted)["ditto"] == "pays in places"


def test_of_who_is_worse_over_scenarios_nothing_is_left_to_tell():
    """FedProto was behind FedAvg-FT in every scenario, and the page could not tell whether it pays: it moves little."""
    basis = board(lambda entry, position: 60 + 2 * position - 9 * (entry == "ditto"), NINE, noise=0.1)
    thrifty = basis.runs["local_steps"].where(basis.runs["entry"] != "ditto", basis.runs["local_steps"] // 10)
    basis = replace(basis, runs=basis.runs.assign(local_steps=thrifty))
    tables = tables_of(basis)
    assert tables["costs"].set_index("entry").loc["ditto", ["dearer_in", "verdict"]].tolist() == ["bytes", "worse"]
    text = findings("made-up", tables)
    assert "shown to be worse over scenarios: ditto." in text and "whether they pay: no entry." in text


@pytest.mark.parametrize(
    ("lead", "noise", "found"), [(2.0, 0.3, [1, 1, "pays in places"]), (1.0, 0.3, [0, 1, "cannot tell"]),
                                 (1.0, 0.5, [0, 0, "never pays"])],
)  # fmt: skip
def test_who_pays_in_places_is_found_among_all_and_who_never_pays_by_itself(lead, noise, found):
    """A lead in one scenario that stands the correction over all cells, over the entry's own only, and neither."""

    def level(entry, position):
        return 70 + lead * (entry == "ditto" and position == 1)

    basis = board(level, dict.fromkeys(NINE, LABEL_SKEW), seeds=4, noise=noise)
    own = tables_of(basis)["costs"].set_index("entry")
    assert own.loc["ditto", ["above", "perhaps_above", "verdict"]].tolist() == found


def test_a_run_that_broke_down_is_the_last_of_its_scenario():
    broken = {("s03", "ditto"): "diverged", ("s04", "ditto"): "failed"}
    basis = board(clear, NINE, statuses=broken)
    assert basis.means.loc["s03", "ditto"] == basis.means.loc["s03"].min() < basis.means.loc["s05", "ditto"]
    own = controls_table(basis).set_index(["control", "entry"]).loc[("fedavg_ft", "ditto")]
    assert (own["scenarios"], own["wins"], own["losses"]) == (9, 7, 2)
    assert not basis.runs["run_id"].str.startswith("ditto-s03").any() and len(basis.gaps) == 2


def test_the_same_computation_under_two_names_counts_once():
    basis = board(clear, NINE)
    twin = basis.runs[basis.runs["entry"] == "fedavg"]
    twin = twin.assign(run_id="x" + twin["run_id"], method="fedbn", config_hash="fedbn")
    clients = basis.clients[basis.clients["entry"] == "fedavg"]
    clients = pd.concat([basis.clients, clients.assign(run_id="x" + clients["run_id"])])
    again = make_basis(pd.concat([basis.runs.drop(columns="entry"), twin]), clients, NINE, ())
    assert "fedbn" not in again.means and again.left_out == (
        "fedbn has the figures of fedavg in every run and counts once",
    )


def test_scenarios_of_one_source_are_told():
    data = {name: {**kind, "dataset": f"sample:mnist?train={k}"} for k, (name, kind) in enumerate(NINE.items())}
    own = tables_of(board(clear, {**data, "s08": {**IID, "dataset": "ag_news:part=test"}}))
    assert own["scenarios"]["source"].tolist() == ["mnist"] * 8 + ["ag_news"]
    assert own["power"]["sources"].tolist() == [2, 2] and (own["controls"]["by_source"] >= 0.5).all()


def test_what_was_still_rising_is_seen():
    basis = board(clear, NINE)
    rows = [
        (run.run_id, run.scenario, visits, split, 50 + (visits / 10 if run.entry == "pfedhn" else 0))
        for run in basis.runs.itertuples()
        for visits in (25, 50, 75, 100)
        for split in ("validation", "test")
    ]
    curves = pd.DataFrame(rows, columns=["run_id", "scenario", "visits", "split", "accuracy"])
    own = tables_of(make_basis(basis.runs.drop(columns="entry"), basis.clients, NINE, (), (), curves))["plateau"]
    late = own.groupby("entry")["gained_late"].mean()
    assert late["pfedhn"] == 2.5 and late.drop("pfedhn").eq(0).all() and len(own) == 54


def test_who_may_be_the_best_takes_six_seeds(tables):
    assert (tables["best_sets"]["may_be_best"] == 6).all() and (tables["best_sets"]["seeds_needed"] == 6).all()
    own = tables_of(board(clear, NINE, seeds=7))["best_sets"]
    assert own["which"].tolist() == ["ditto"] * 9
    text = findings("made-up", tables_of(board(clear, NINE, seeds=7)))
    assert "On s00, of 6 entries only ditto may be the best (95 % confidence set over 7 seeds)." in text


def test_gaps_are_told_and_judged_where_there_are_figures():
    statuses = {("s03", "pfedhn"): "skipped", ("s04", "pfedhn"): "skipped"}
    basis = board(clear, NINE, statuses=statuses)
    gaps = basis.gaps
    assert gaps[["scenario", "entry", "status", "seeds"]].to_numpy().tolist() == [
        ["s03", "pfedhn", "skipped", 0], ["s04", "pfedhn", "skipped", 0],
    ]  # fmt: skip
    assert set(gaps["reason"]) == {"no text"}
    own = controls_table(basis).set_index(["control", "entry"])
    assert own.loc[("local", "pfedhn"), "scenarios"] == 7 and own.loc[("local", "ditto"), "scenarios"] == 9
    ranks = ranks_table(ranking_of(basis)).iloc[0]
    assert ranks["count"] == 9 and ranks["left_out"] == "scenarios: pfedhn: in 7 of 9"
    standing = standing_table(basis, ranking_of(basis)).set_index("entry")
    assert math.isnan(standing.loc["pfedhn", "mean_rank"]) and standing.loc["ditto", "mean_rank"] == 1


def test_a_cell_that_nobody_ran_is_a_gap_too():
    basis = board(clear, NINE)
    runs = basis.runs[~((basis.runs["scenario"] == "s05") & (basis.runs["entry"] == "ditto"))]
    (row,) = make_basis(runs, basis.clients, NINE, ()).gaps.to_numpy().tolist()
    assert row == ["s05", "ditto", "not run", "", 0, 3]


def test_how_many_settings_each_was_tuned_with_is_told():
    rows = [("a", "ditto", k, seed, "finished") for k in range(8) for seed in (1000, 1001)]
    rows += [("b", "ditto", k, seed, "finished") for k in range(10) for seed in (1000, 1001)]
    rows += [("a", "local", k, 1000, "diverged" if k else "finished") for k in range(8)]
    trials = pd.DataFrame(rows, columns=["scenario", "method", "config", "seed", "status"])
    own = tables_of(board(clear, NINE), trials)["trials"].set_index("method")
    assert own.loc["ditto"].tolist() == [2, 8, 10, 2, 0, 36, 0]
    assert own.loc["local"].tolist() == [1, 8, 8, 1, 0, 8, 7]
    assert tables_of(board(clear, NINE))["trials"].empty
