"""Findings say what the tables say, name them, and claim nothing that no test has shown."""

import re

from pfl_bench.results.analyses.board import files, tables_of
from pfl_bench.results.board.findings import findings

from .frames import IID, LABEL_SKEW, board
from .test_tables import NINE, clear


def test_every_sentence_names_a_table_that_is_written():
    definitions = {**NINE, "kept-v1": IID}
    texts = files(board(clear, definitions, held_out=("kept-v1",), statuses={("s03", "pfedhn"): "skipped"}), "made-up")
    lines = [line for line in texts["findings.md"].splitlines() if line.startswith("- ")]
    assert len(lines) > 15
    for line in lines:
        named = re.search(r"\(`(\w+\.csv)`\)$", line)
        assert named and named[1] in texts, line
        assert "nan" not in line.replace("nan ", "nan"), line


def test_who_is_better_is_said_with_the_interval():
    text = findings("made-up", tables_of(board(clear, NINE)))
    assert re.search(
        r"Over these 9 scenarios, ditto \(\+[45]\.\d points, \+\d\.\d to \+\d\.\d, 9:0\) is shown to be better than "
        r"FedAvg-FT \(exact signed ranks, Holm over 5 entries, level 0\.05",
        text,
    )
    assert "ditto has the best mean rank, 1.0 of 6" in text
    assert "Better than FedAvg-FT over scenarios: ditto. (`costs.csv`)" in text
    assert "Shown to be less than 1 point better than FedAvg-FT (one-sided signed ranks, Holm): fedper" in text


def test_with_too_few_scenarios_nobody_is_better():
    few = {f"s{i}": LABEL_SKEW for i in range(4)}
    text = findings("made-up", tables_of(board(clear, few)))
    assert not re.search("(is|are)( shown to be)? (better|worse) than", text)
    assert (
        "No entry could be tested against FedAvg-FT over scenarios: 4 scenarios with a difference; a test of 5 entries "
        "takes 8." in text
    )
    assert "A test of 5 entries against Local takes 8 scenarios at least." in text
    assert "Mean ranks are not tested" in text


def test_where_nothing_differs_nothing_is_claimed():
    text = findings("made-up", tables_of(board(lambda entry, position: 70.0, NINE, noise=2.0)))
    assert "no entry is shown to be better than FedAvg-FT" in text
    assert "no entry is shown to be worse than FedAvg-FT" in text
    assert "Friedman's test finds no difference among them" in text
    assert (
        "such an entry is found with a probability of 80 % if it is" in text
        and "told apart from FedAvg-FT: ditto" in text
    )
    assert "Local and the best entry lie less than five points apart" in text


def test_families_that_come_out_level_are_named_together():
    tables = tables_of(board(clear, NINE))
    own = tables["factors"]
    first = own["family"].isin(["own and shared model", "body and head"]) & (own["kind"] == "label skew")
    text = findings("made-up", {**tables, "factors": own.assign(difference=own["difference"].mask(first, 7.01))})
    assert (
        "Under label skew (4 scenarios; a description, no test) the median entry comes out highest against FedAvg-FT "
        "in the families 'own and shared model' and 'body and head', +7.0 points" in text
    )


def test_what_is_not_told_apart_says_whose_interval_and_whose_p_it_is():
    text = findings("made-up", tables_of(board(clear, NINE)))
    assert re.search(
        r"Against Local its shift is \+\S+ points, .* \(the interval of this entry alone\), over 9 sc", text
    )
    assert re.search(r": better \(p 0\.0\d+ with Holm's correction\)\.", text)
    assert "3 seeds each" in text and "others' by" in text
