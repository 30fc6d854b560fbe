"""Figures for paper, and what figures show."""

import xml.etree.ElementTree as ET

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.publish import publish
from pfl_bench.results.report.asked import asked
from pfl_bench.results.report.plotting import contest, leaders
from tests.ledgers import full_folder

FIGURES = {"curves-visits", "curves-bytes", "distributions", "pareto", "novel", "partition"}


def test_every_figure_becomes_a_file_the_same_one_each_time(tmp_path):
    folder = full_folder(tmp_path / "suite", seeds=6, novel=True)
    files = {path: path.read_bytes() for path in publish(folder, ("svg", "pdf")).files if path.parent.name == "figures"}
    names = {"ranks", *(f"{name}-sc-v1" for name in FIGURES)}
    assert {path.name for path in files} == {f"{name}.{kind}" for name in names for kind in ("svg", "pdf")}
    for path, content in files.items():
        if path.suffix == ".svg":
            assert ET.fromstring(content).tag.endswith("svg")
        else:
            assert content.startswith(b"%PDF")
    assert b">ditto<" in files[folder / "figures" / "curves-visits-sc-v1.svg"], "text stays text"
    publish(folder, ("svg",))
    for path in files:
        assert path.read_bytes() == files[path]


def test_figures_are_not_written_through_a_link(tmp_path):
    folder = full_folder(tmp_path / "suite", methods=("local",), seeds=1)
    (tmp_path / "elsewhere").mkdir()
    (folder / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="is a link"):
        publish(folder, ("svg",))
    assert not list((tmp_path / "elsewhere").iterdir())


def test_the_range_shows_the_contest_and_names_who_is_below():
    ends = {"a": 90.0, "b": 89.0, "c": 88.0, "d": 87.0, "far": 20.0}
    (low, high), note = contest(ends)
    assert 80 < low < 87 and high > 90 and note == "Below what is shown: far (20.00)."
    assert contest(ends, highest=95.0)[0][1] >= 95
    assert contest({}) == ([], "")
    (low, high), note = contest({"a": 100.0, "b": 100.0})
    assert low < 100 <= high and not note


def test_the_leaders_are_the_best_and_whoever_others_are_compared_with():
    scores = {f"m{n:02}": float(n) for n in range(20)} | {"local": -1.0}
    assert leaders(scores) == [*(f"m{n:02}" for n in range(19, 11, -1)), "local"]


def test_what_was_asked_is_told_once_where_it_is_equal():
    common = {"dataset": "digits", "novel": 0, "partition": {"rule": "classes", "classes": 2, "file": None}}
    found = asked({"s-v1": {"id": "s-v1", **common, "model": "mlp"}, "t-v1": {"id": "t-v1", **common, "model": None}})
    assert found.shared == {"data": "digits", "novel clients": "0", "partition": "classes, classes 2"}
    assert found.columns == ["client model"] and found.rows == {"s-v1": ["mlp"], "t-v1": [""]}
