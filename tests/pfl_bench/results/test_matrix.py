import pytest

from pfl_bench.results.frame import read_runs
from pfl_bench.results.headline import headline
from pfl_bench.results.leaderboard import leaderboard, named
from pfl_bench.results.matrix import Entry, cell_text, matrix
from pfl_bench.results.overall import overall
from tests.ledgers import folder_with, record


def told(folder, *records):
    """The matrix and the headline of some runs."""
    runs = read_runs(folder_with(folder, *records))
    board, over_all = named(leaderboard(runs), runs), overall(runs)
    table = matrix(board, over_all)
    return table, headline(runs.assign(entry=runs["method"]), board, table, over_all)


def test_where_what_ranks_is_undefined_nobody_is_ahead(tmp_path):
    runs = read_runs(folder_with(tmp_path, record("a"), record("b"))).assign(accuracy=float("nan"))
    board, over_all = named(leaderboard(runs), runs), overall(runs)
    said = headline(runs.assign(entry=runs["method"]), board, matrix(board, over_all), over_all)
    assert said.ahead.startswith("Nobody can be ranked: what ranks is undefined") and said.real == ""


def suite(scenarios=6, seeds=1, gap=5.0):
    """``ditto`` above ``local`` above ``fedavg`` everywhere; the first scenario in two editions."""
    names = ["s0-v1", *(f"s{k}-v1@0.1x" for k in range(scenarios))]
    return [
        record(method, seed, 50.0 + gap * place + k + 0.1 * seed, scenario=scenario)
        for k, scenario in enumerate(names)
        for place, method in enumerate(("fedavg", "local", "ditto"))
        for seed in range(seeds)
    ]


def test_every_scenario_has_one_column_that_counts(tmp_path):
    table, _ = told(tmp_path, *suite(), record("late", 0, 99.0, scenario="s3-v1@0.1x"))
    assert [column.title for column in table.counting] == [f"s{k}-v1" for k in range(6)]
    assert table.edition == "@0.1x"
    assert [(column.scenario, column.counts) for column in table.columns][-1] == ("s0-v1", False)
    assert table.rows == ["ditto", "local", "fedavg", "late"], "who is not in all scenarios comes last"
    assert table.mean_ranks == {"ditto": 1.0, "local": 2.0, "fedavg": 3.0} and table.count == 6
    assert table.wins("ditto") == 5 and table.wins("late") == 1


def test_what_is_missing_says_why(tmp_path):
    failed = [record("broken", 0, status="failed", reason="no memory", scenario=f"s{k}-v1") for k in range(2)]
    runs = [record(m, 0, 50.0, scenario=f"s{k}-v1") for m in ("a", "b") for k in range(2)]
    only = record("elsewhere", 0, 50.0, scenario="s0-v1@0.5x")
    table, _ = told(tmp_path, *failed, *runs, only, record("once", 0, 60.0, scenario="s1-v1"))
    assert table.cells["broken", "s0-v1"].why == "1 failed: no memory"
    assert table.cells["once", "s0-v1"].why == "no run of it in this scenario"
    assert table.cells["elsewhere", "s0-v1"].why == "run in another edition only: @0.5x"
    assert table.missing["1 failed: no memory"] == ["broken in s0-v1", "broken in s1-v1"]
    assert cell_text(table.cells["once", "s0-v1"]) == "-" and cell_text(table.cells["once", "s1-v1"]) == "60.00"


@pytest.mark.parametrize(("rank", "of", "shade"), [(1, 10, 0), (3, 10, 1), (10, 10, 4), (1, 1, None), (None, 5, None)])
def test_shades_follow_ranks(rank, of, shade):
    assert Entry(50.0, rank=rank, of=of).shade == shade


def test_the_headline_says_who_is_ahead_and_whether_that_is_real(tmp_path):
    _, said = told(tmp_path, *suite(scenarios=12))
    assert said.compared == "3 methods in 12 scenarios (@0.1x), 1 seed each."
    assert said.ahead.startswith("ditto has the best mean rank, 1.00 over the 12 scenarios that 3 methods have in")
    assert said.real.startswith("Yes: its ranks are significantly better than those of 2 others, which is all (Nemenyi")
    _, said = told(tmp_path / "few", *suite(scenarios=5))
    assert said.real.startswith("Partly: its ranks are significantly better than those of 1 other, but not told apart")
    assert said.real.endswith("Within no scenario are there seeds enough to test the best one.")
    _, said = told(tmp_path / "fewer", *suite(scenarios=3))
    assert said.real.startswith("Untested over scenarios (3 scenarios; a test of ranks takes 5, and 3 methods).")


def test_the_headline_of_one_scenario(tmp_path):
    _, said = told(tmp_path / "none", record(status="failed", reason="x"))
    assert said.ahead == "No run has a result yet." and said.real == ""
    _, said = told(tmp_path / "one", record(), record(seed=1))
    assert said.compared == "1 method in one scenario, sc-v1, 2 seeds each." and "nobody" in said.real
    _, said = told(tmp_path / "two", record("a"), record("b", accuracy=60.0))
    assert said.ahead == "b is first in sc-v1: 60.00 %." and said.real.startswith("Untested: ")
    far = [record(m, seed, a + seed) for m, a in (("a", 90.0), ("b", 60.0)) for seed in range(8)]
    _, said = told(tmp_path / "far", *far)
    assert said.real.startswith("Yes: 1 of 1 other is significantly worse, 0 are not")
    near = [record("c", seed, 90 + (-1) ** seed * seed) for seed in range(8)]
    _, said = told(tmp_path / "near", *far, *near)
    assert said.real.startswith("Partly: 1 of 2 others is significantly worse, 1 is not")
