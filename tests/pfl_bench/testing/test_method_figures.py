from pfl_bench.results.references import needed
from pfl_bench.testing.method_figures import figures_cell, figures_section


def test_figures_stand_with_their_scenario_and_source():
    lines = figures_section("pfedhn")
    assert lines[4].startswith("| 88.38 ± 0.29 | `cifar10-classes2-n50-v1` (paper-table1) | paper: Shamsian")
    assert any("89.91" in line and "second hand" in line for line in lines)
    assert figures_cell("pfedhn") == "7 and 1 under another protocol"


def test_other_protocols_are_told_once_per_source():
    lines = figures_section("ditto")
    told = [line for line in lines if line.startswith("Not the scenario's protocol")]
    assert len(told) == 2 and "75 to 25 %" in told[0] and figures_cell("ditto") == "5 under other protocols"


def test_without_a_figure_the_page_says_what_it_would_need():
    assert figures_section("pefll")[2] == f"None that a scenario here can meet. Needed: {needed()['pefll']}."
    assert figures_cell("pefll") == "none"


def test_a_method_of_others_has_none_known():
    assert figures_section("somebodys_own")[2] == "None known."
