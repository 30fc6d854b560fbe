"""What the site says of methods and scenarios, on boards made by hand."""

import re

import pandas as pd
import pytest

from pfl_bench.results.ledger import Ledger
from pfl_bench.results.report.collect import collect
from pfl_bench.website.boards import board
from pfl_bench.website.documents import Document, lay
from pfl_bench.website.scenarios import scenario_table, sizes
from pfl_bench.website.sources import suites_of
from pfl_bench.website.standings import measure_of, standings
from tests.ledgers import record, save

ASKED = {"visits": 100, "local_steps": 5, "budget_scale": 1.0, "precision": "fp32"}


def made(folder, *runs):
    with (ledger := Ledger(folder)).lock():
        for method, accuracy, config, scenario in runs:
            asked = {"id": scenario, **ASKED, "shift": [{"rule": "rotation", "groups": 4}]}
            save(ledger, {**record(method, 0, accuracy, config={"lr": config}), "scenario": asked})
    return board(folder.name, "", collect(folder))


def test_a_method_stands_where_the_best_of_its_variants_does(tmp_path):
    own = made(tmp_path / "one", ("a", 90, 0.1, "s-v1"), ("b", 95, 0.1, "s-v1"), ("b", 80, 0.2, "s-v1"))
    found = standings([own])
    assert measure_of(own) == "rank of 3" and found["b"].summary == {"one": "1"} and found["a"].summary == {"one": "2"}
    assert sorted(place.entry for place in found["b"].places) == ["b (lr=0.1)", "b (lr=0.2)"]


def test_over_scenarios_it_is_the_mean_rank_or_in_how_many_it_ran(tmp_path):
    runs = [(m, a, 0.1, s) for m, a in (("a", 90), ("b", 80)) for s in ("s-v1", "t-v1")]
    own = made(tmp_path / "two", *runs, ("c", 99, 0.1, "t-v1"))
    found = standings([own])
    assert measure_of(own) == "mean rank of 2"
    assert {name: place.summary["two"] for name, place in found.items()} == {
        "a": "1.0",
        "b": "2.0",
        "c": "in 1 of 2 scenarios",
    }


def test_a_scenario_in_words(tmp_path):
    table = scenario_table(made(tmp_path / "one", ("a", 90, 0.1, "s-v1"), ("b", 95, 0.1, "s-v1")))
    assert table.columns == ["leads", "heterogeneity besides", "budget"]
    assert table.rows == {"s-v1": ["b (95.00)", "shift: rotation, groups 4", "100 visits of 5 steps"]}


@pytest.mark.parametrize(("novel", "said"), [(0, "median 20 (10 to 30)"), (1, "median 15 (10 to 20)")])
def test_sizes_are_those_of_the_clients_that_train(novel, said):
    rows = [(0, 0, 4), (0, 0, 6), (1, 0, 20), (2, novel, 30)]
    assert sizes(pd.DataFrame(rows, columns=["client", "novel", "train"])) == said
    assert sizes(None) == "" and sizes(pd.DataFrame([(0, 0, 7)], columns=["client", "novel", "train"])) == "7 each"


def test_boards_come_first_the_newest_on_top(tmp_path):
    for name in ("a", "board-v1", "board-v10", "board-v2-text", "z-tuning"):
        (tmp_path / name / "runs").mkdir(parents=True)
    assert list(suites_of(tmp_path)) == ["board-v10", "board-v2-text", "board-v1", "a"]


def test_headings_have_names_of_their_own_and_go_down_where_the_page_has_one():
    text = "# A `b` c!\n\n## A b c\n\n[here](#a-b-c-1) [bad](javascript:alert(1)) [up](../../x.md)\n"
    plain, lower = (lay(Document("d.md", "", text), "docs/d.html", {}, below) for below in (False, True))
    assert '<h1 id="a-b-c">' in plain.html and '<h2 id="a-b-c-1">' in plain.html and "<h2 id" in lower.html
    assert 'href="#a-b-c-1"' in plain.html and "javascript:" in plain.html and 'href="javascript' not in plain.html
    assert plain.leading_out == ("d.md: ../../x.md",)
    again = lay(Document("d.md", "", "# a\n\n# a\n\n# a-1\n\n# a\n"), "docs/d.html", {})
    assert re.findall(' id="([^"]+)"', again.html) == ["a", "a-1", "a-1-1", "a-2"]
