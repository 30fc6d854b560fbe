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
        r"Over these 9 scenarios, ditto \(\+[45]\.\d points, \+\d\.\d to \+\d\.\d, 9:0\) is better than FedAvg-FT "
        r"\(exact signed ranks, Holm over 5 entries, level 0\.05",
        text,
    )
    assert "ditto has the best mean rank, 1.0 of 6" in text
    assert "(Holm over its scenarios): ditto." in text
    assert "Shown to be less than 1 point better than FedAvg-FT (one-sided signed ranks, Holm): fedper" in text


def test_with_too_few_scenarios_nobody_is_better():
    few = {f"s{i}": LABEL_SKEW for i in range(4)}
    text = findings("made-up", tables_of(board(clear, few)))
    assert not re.search("(is|are) (better|worse) than", text)
    assert (
        "No entry could be tested against FedAvg-FT over scenarios: 4 scenarios with a difference; a test of 5 entries "
        "takes 8." in text
    )
    assert "A test of 5 entries against Local takes 8 scenarios at least." in text
    assert "Mean ranks are not tested" in text


def test_where_nothing_differs_nothing_is_claimed():
    text = findings("made-up", tables_of(board(lambda entry, position: 70.0, NINE, noise=2.0)))
    assert "no entry is better than FedAvg-FT" in text and "no entry is worse than FedAvg-FT" in text
    assert "Friedman's test finds no difference among them" in text
    assert "is found with a probability of 80 % if it is" in text and "told apart from FedAvg-FT: ditto" in text
    assert "Local and the best entry lie less than five points apart" in text
