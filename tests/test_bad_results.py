"""A fixed slice of the spoilt results folders; ``python -m tests.bad_results`` makes as many as you like."""

import random

from tests.bad_results import KINDS, examine, judge


def test_no_spoilt_folder_gives_another_figure_or_a_traceback():
    counts, wrong = examine(len(KINDS), seed=3)
    assert wrong == []
    assert counts["a figure is better"]["left out"] == 1 and counts["something foreign"]["read"] == 1


def test_the_page_stands_it_too():
    assert examine(len(KINDS), seed=4, formats="csv,html")[1] == []


def test_what_is_no_harm_would_be_noticed(tmp_path, monkeypatch):
    """Without the check of what agrees, a raised accuracy is counted."""
    monkeypatch.setattr("pfl_bench.results.record.check_tables", lambda *_: None)
    found = {judge(KINDS["a figure is better"], random.Random(n), tmp_path / str(n))[0] for n in range(4)}
    assert "counted" in found
