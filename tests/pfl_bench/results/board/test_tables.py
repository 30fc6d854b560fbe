"""The tables of a board, on frames whose answers are known."""

import math

import pytest

from pfl_bench.results.analyses.board import tables_of
from pfl_bench.results.board.basis import make_basis

from .frames import ENTRIES, IID, LABEL_SKEW, board

TWELVE = {f"s{i:02}": LABEL_SKEW if i % 2 else IID for i in range(12)}


def clear(entry, position):
    """Ditto is best everywhere, FedPer is a little behind FedAvg-FT, Local is last."""
    level = 60 + 2 * position
    return level + {"ditto": 15, "fedavg_ft": 10, "fedper": 9, "fedavg": 8, "pfedhn": 5, "local": 0}[entry]


@pytest.fixture(scope="module")
def tables():
    return tables_of(board(clear, TWELVE))


def test_scenarios_say_their_kind_and_whether_they_tell(tables):
    own = tables["scenarios"].set_index("scenario")
    assert own["kind"].value_counts().to_dict() == {"none": 6, "label skew": 6}
    assert (own["best_entry"] == "ditto").all() and own["tells"].all() and (own["seeds"] == 3).all()
    assert own["spread"].to_numpy() == pytest.approx([15] * 12, abs=0.5)


def test_ranks_wins_and_distance_to_the_best(tables):
    own = tables["standing"].set_index("entry")
    assert own["mean_rank"].to_dict() == {e: k for k, e in enumerate(
        ("ditto", "fedavg_ft", "fedper", "fedavg", "pfedhn", "local"), 1)}  # fmt: skip
    assert own.loc["ditto", "win_rate"] == 100 and own.loc["local", "win_rate"] == 0
    assert own.loc["local", "improvability"] == 100 and own.loc["ditto", "improvability"] == 0
    assert own.loc["fedavg_ft", "improvability"] == pytest.approx(100 / 3, abs=1)
    assert own.loc["ditto", "first_in"] == 12 and len(own) == len(ENTRIES)
    assert tables["ranks"]["critical_difference"].iloc[0] == pytest.approx(2.18, abs=0.01)


def test_every_entry_against_both_controls(tables):
    own = tables["controls"].set_index(["control", "entry"])
    assert own.loc[("fedavg_ft", "ditto"), "verdict"] == "better"
    assert own.loc[("fedavg_ft", "fedper"), "verdict"] == "worse"
    assert (own.loc["local"]["verdict"] == "better").all() and len(own) == 10
    assert own.loc[("fedavg_ft", "ditto"), "adjusted"] == pytest.approx(5 * 2 / 2**12)


def test_what_pays(tables):
    own = tables["factors"].set_index(["control", "family", "kind"])
    row = own.loc[("fedavg_ft", "own and shared model", "all")]
    assert row["difference"] == pytest.approx(5, abs=0.2) and row["best_entry"] == "ditto" and row["adjusted"] < 0.05
    assert own.loc[("fedavg_ft", "own and shared model", "none"), "scenarios"] == 6
    assert math.isnan(own.loc[("fedavg_ft", "own and shared model", "none"), "adjusted"])
    hurt = tables["hurt"].set_index("entry")
    assert hurt.loc["ditto", "worse_than_local"] == 0 and math.isnan(hurt.loc["local", "worse_than_local"])


def test_costs_are_multiples_of_the_control_s(tables):
    own = tables["costs"].set_index("entry")
    assert own.loc["ditto", "bytes"] == 1.5 and own.loc["local", "bytes"] == 0
    assert own.loc["fedper", "gradients"] == pytest.approx(1000 / 1200), "one adaptation of ten"
    assert own.loc["ditto", "state"] == math.inf and math.isnan(own.loc["ditto", "forward_samples"])
    assert own.loc["ditto", ["dearer_in", "above", "never_pays"]].tolist() == ["bytes, state", 12, False]
    assert own["never_pays"].to_dict() == {e: e in ("fedper", "local") for e in own.index}
    assert set(own.index[own["on_front"]]) == {"ditto", "fedavg_ft", "local"}


def test_what_is_held_out_is_part_of_no_claim():
    definitions = {**TWELVE, "kept-v1": IID}
    tables = tables_of(board(clear, definitions, held_out=("kept-v1",)))
    assert "kept-v1" not in set(tables["scenarios"]["scenario"]) and (tables["controls"]["scenarios"] == 12).all()
    own = tables["held_out"].set_index("entry")
    assert own["rank"].tolist() == [1, 2, 3, 4, 5, 6] and own["mean_rank_on_board"].tolist() == own["rank"].tolist()
    assert own.loc["ditto", "low"] > 0 > own.loc["fedper", "high"]


def test_gaps_are_told_and_judged_where_there_are_figures():
    statuses = {("s03", "pfedhn"): "skipped", ("s04", "pfedhn"): "failed"}
    tables = tables_of(board(clear, TWELVE, statuses=statuses))
    gaps = tables["gaps"]
    assert gaps[["scenario", "entry", "status", "seeds"]].to_numpy().tolist() == [
        ["s03", "pfedhn", "skipped", 0], ["s04", "pfedhn", "failed", 0],
    ]  # fmt: skip
    assert set(gaps["reason"]) == {"no text"}
    own = tables["controls"].set_index(["control", "entry"])
    assert own.loc[("local", "pfedhn"), "scenarios"] == 10 and own.loc[("local", "ditto"), "scenarios"] == 12
    ranks = tables["ranks"].iloc[0]
    assert (
        ranks["count"] == 10 and ranks["left_out"] == "scenarios: s03: 5 of 6 methods; scenarios: s04: 5 of 6 methods"
    )


def test_a_cell_that_nobody_ran_is_a_gap_too():
    basis = board(clear, TWELVE)
    runs = basis.runs[~((basis.runs["scenario"] == "s05") & (basis.runs["entry"] == "ditto"))]
    (row,) = make_basis(runs, basis.clients, TWELVE, ()).gaps.to_numpy().tolist()
    assert row == ["s05", "ditto", "not run", "", 0, 3]
