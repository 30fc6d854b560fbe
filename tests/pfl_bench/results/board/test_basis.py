"""What a board rests on where cells are missing, runs broke down, or entries are alike."""

import pandas as pd
import pytest

from pfl_bench.results.analyses.board import tables_of
from pfl_bench.results.board.basis import make_basis
from pfl_bench.results.board.findings import findings
from pfl_bench.results.board.tables import controls_table

from .frames import IID, board
from .test_tables import NINE, clear


def without(basis, entry):
    """The runs of a basis but for those of an entry."""
    runs = basis.runs.drop(columns="entry")
    return runs[runs["method"] != entry]


def renamed(basis, entry, name):
    """Runs and clients of an entry once more, under another name."""
    runs = basis.runs[basis.runs["entry"] == entry].drop(columns="entry")
    clients = basis.clients[basis.clients["entry"] == entry]
    own = runs.assign(run_id=f"{name}-" + runs["run_id"], method=name, config_hash=name)
    return own, clients.assign(run_id=f"{name}-" + clients["run_id"])


def test_who_broke_down_everywhere_is_not_taken_for_whoever_is_last():
    broken = {(scenario, "ditto"): "diverged" for scenario in NINE}
    basis = board(clear, NINE, statuses=broken)
    assert basis.left_out == () and {"local", "ditto"} <= set(basis.means)


@pytest.mark.parametrize("name", ["a_twin", "z_twin"])
def test_of_two_names_of_one_computation_a_control_stays(name):
    basis = board(clear, NINE)
    runs, clients = renamed(basis, "local", name)
    again = make_basis(
        pd.concat([runs, basis.runs.drop(columns="entry")]), pd.concat([clients, basis.clients]), NINE, ()
    )
    assert again.left_out == (f"{name} has the figures of local in every run and counts once",)
    assert "local" in again.means and name not in again.means


def test_equal_accuracies_of_other_clients_are_no_twins():
    basis = board(clear, {"s00": IID}, seeds=1)
    runs, clients = renamed(basis, "fedper", "fedrep")
    clients = clients.assign(test_correct=clients["test_correct"].to_numpy()[::-1])
    again = make_basis(
        pd.concat([basis.runs.drop(columns="entry"), runs]), pd.concat([basis.clients, clients]), NINE, ()
    )
    assert again.left_out == () and {"fedper", "fedrep"} <= set(again.means)


def test_who_has_more_seeds_than_the_others_does_not_stand_alone():
    whole, more = board(clear, NINE, seeds=5), board(clear, NINE, seeds=3)
    extra = whole.runs[(whole.runs["seed"] > 2) & (whole.runs["entry"] == "pfedhn")].drop(columns="entry")
    basis = make_basis(pd.concat([more.runs.drop(columns="entry"), extra]), more.clients, NINE, ())
    assert basis.means.shape == (9, 6) and basis.gaps.empty and len(basis.tables["s00"]) == 3
    assert basis.left_out[0] == "s00: seeds 3, 4, which no more than half of its entries have"


def test_who_lacks_seeds_that_most_have_is_a_gap_there():
    basis = board(clear, NINE, seeds=5)
    runs = basis.runs[~((basis.runs["entry"] == "pfedhn") & (basis.runs["seed"] > 2))].drop(columns="entry")
    again = make_basis(runs, basis.clients, NINE, ())
    assert "pfedhn" not in again.means and len(again.tables["s00"]) == 5
    assert again.gaps[["entry", "status", "seeds", "seeds_of_scenario"]].drop_duplicates().to_numpy().tolist() == [
        ["pfedhn", "not run at every seed", 3, 5]
    ]


def test_who_broke_down_on_what_is_held_out_is_last_there():
    broken = {("kept-v1", "ditto"): "diverged"}
    own = tables_of(board(clear, {**NINE, "kept-v1": IID}, held_out=("kept-v1",), statuses=broken))["held_out"]
    last = own.set_index("entry")
    assert last.loc["ditto", "mean"] == last.loc["local", "mean"] == last["mean"].min() and (last["seeds"] == 3).all()


def test_bytes_are_compared_on_what_all_have_finished():
    basis = board(clear, NINE, statuses={("s08", "fedper"): "diverged"})
    dear = basis.runs.drop(columns="entry")
    dear.loc[dear["scenario"] == "s08", ["bytes_down", "bytes_up"]] *= 1000
    own = tables_of(make_basis(dear, basis.clients, NINE, ()))["costs"].set_index("entry")
    assert own["on_front"].sum() and not own.loc["fedper", "on_front"], "FedAvg-FT moves as much and ranks better"


def test_the_side_of_a_claim_is_the_ranks_one():
    """Ahead in 12 of 13 scenarios and far behind in one: the mean is below, and the test says above."""
    thirteen = {f"s{i:02}": IID for i in range(13)}

    def skewed(entry, position):
        return 80 if entry != "fedper" else 20 if position == 12 else 81 + position / 12

    tables = tables_of(board(skewed, thirteen, entries=("fedavg_ft", "fedper"), noise=0.0))
    assert tables["controls"].set_index("entry").loc["fedper", "verdict"] == "better"
    text = findings("made-up", tables)
    assert "'body and head' is above FedAvg-FT (shift +1." in text


def test_equal_means_are_ties_whatever_the_last_bits():
    basis = board(clear, NINE, entries=("fedavg_ft", "local", "ditto"))
    near = basis.runs.drop(columns="entry").assign(accuracy=70.0)
    near.loc[near["method"] == "ditto", "accuracy"] += 2e-14
    own = tables_of(make_basis(near, basis.clients, NINE, ()))["standing"]
    assert (own["mean_rank"] == 2).all() and (own["win_rate"] == 50).all() and (own["first_in"] == 9).all()


def test_a_scenario_without_any_result_is_told():
    entries = ("local", "fedavg", "fedavg_ft", "ditto", "fedper", "pfedhn")
    basis = board(clear, NINE, statuses={("s03", entry): "diverged" for entry in entries})
    assert "s03" not in basis.tables and basis.left_out == ("s03: no run has a result there",)
    assert len(basis.gaps) == 6 and set(basis.gaps["scenario"]) == {"s03"}


def test_with_held_out_scenarios_alone_the_page_says_so():
    text = findings("made-up", tables_of(board(clear, {"kept-v1": IID}, held_out=("kept-v1",))))
    assert "On no scenario that claims may rest on has an entry finished every seed" in text and "On kept-v1" in text


@pytest.mark.parametrize("control", ["local", "fedavg_ft"])
def test_nothing_is_said_of_a_control_that_took_no_part(control):
    basis = board(clear, {**NINE, "kept-v1": IID}, held_out=("kept-v1",))
    tables = tables_of(make_basis(without(basis, control), basis.clients, NINE, ()))
    text = findings("made-up", tables)
    name = {"local": "Local", "fedavg_ft": "FedAvg-FT"}[control]
    assert f"{name} took no part: nothing is tested against it." in text
    assert "Local and the best entry lie less than" not in text
    for claim in (f"above {name}", f"better than {name}", f"against {name}", f"from {name}"):
        assert claim not in text.replace(f"tested against {name}", ""), claim


def test_variants_of_a_control_are_named():
    basis = board(clear, NINE)
    runs, _ = renamed(basis, "fedavg_ft", "fedavg_ft")
    runs = runs.assign(config_hash="other", config='{"lr": 2}', accuracy=runs["accuracy"] + 1)
    both = pd.concat([basis.runs.drop(columns="entry").assign(config='{"lr": 1}'), runs], ignore_index=True)
    text = findings("made-up", tables_of(make_basis(both, basis.clients, NINE, ())))
    assert "FedAvg-FT took part as fedavg_ft (lr=1) and fedavg_ft (lr=2) only: nothing is tested against it." in text


def test_untested_ones_are_said_to_differ_too_little():
    basis = board(clear, NINE, entries=("fedavg_ft", "local", "ditto"))
    runs = basis.runs.drop(columns="entry").assign(accuracy=70.0)
    runs.loc[(runs["method"] == "ditto") & runs["scenario"].isin(["s00", "s01", "s02"]), "accuracy"] = 71.0
    own = controls_table(make_basis(runs, basis.clients, NINE, ())).set_index(["control", "entry"])
    assert own.loc[("local", "ditto"), "note"].startswith("3 scenarios with a difference")
    assert own.loc[("local", "ditto"), "adjusted"] is None
