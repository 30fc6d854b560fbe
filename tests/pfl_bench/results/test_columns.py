import re

import pandas as pd
import pytest

from pfl_bench.results import columns
from pfl_bench.results.columns import Column, catalogue, keys_of
from pfl_bench.results.display import text_columns, texts
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.publish import publish
from pfl_bench.results.report.collect import collect
from pfl_bench.results.report.page import render
from tests.ledgers import COSTS, folder_with, record

FORWARD = ("forward samples", "forward samples, adapting")


def test_every_column_has_one_name_and_a_heading_where_it_is_shown():
    every = catalogue()
    assert len(set(keys_of(every))) == len(every)
    shown = [column for column in every if column.shown != "nowhere"]
    assert all(column.heading and column.over_seeds == "mean" and column.figure for column in shown)
    assert len({column.heading for column in shown}) == len(shown)


def _added_everywhere(folder, heading, key, text):
    """A column is in the runs, the leaderboard, the Markdown, the LaTeX and the page."""
    publish(folder, ("csv", "md", "tex", "html"))
    assert key in pd.read_csv(folder / "runs.csv") and key in pd.read_csv(folder / "leaderboard.csv")
    for name, cell in (("md", r" \| {} \|"), ("tex", r" & {} (&|\\)")):
        written = (folder / f"leaderboard.{name}").read_text(encoding="utf-8")
        assert all(re.search(cell.format(re.escape(told)), written) for told in (heading, text))
    page = (folder / "leaderboard.html").read_text(encoding="utf-8").split("<script>")[0]
    assert f">{heading}<" in page and f">{text}<" in page


def test_a_further_column_is_one_entry(tmp_path, monkeypatch):
    cores = Column("cores", lambda r: r.hardware.get("cores"), figure=True, over_seeds="mean", shown="everywhere",
                   heading="cores", digits=1, details="own")  # fmt: skip
    monkeypatch.setattr(columns, "COSTS", (*columns.COSTS, cores))
    folder = folder_with(tmp_path, *(record(seed=n, hardware={"cores": 4 * n}) for n in (1, 2)))
    _added_everywhere(folder, "cores", "cores", "6.0")
    assert '"cores"' in render(collect(folder)), "among the details of a run"


def test_a_further_cost_counter_is_one_entry(tmp_path, monkeypatch):
    monkeypatch.setattr(
        columns,
        "COSTS",
        (*columns.COSTS, columns._cost("joules", over_seeds="mean", shown="everywhere", heading="kJ", scale=1e3)),
    )
    folder = folder_with(tmp_path, record(costs={**COSTS, "joules": 12_340}))
    _added_everywhere(folder, "kJ", "joules", "12.34")


def test_what_was_asked_of_clients_is_told_where_they_may_be_away(tmp_path):
    """Counted in every run, and shown where it says more than the budget."""
    costs = {**COSTS, "asked_visits": 143, "asked_steps": 612}
    away, there = record("local", costs=costs), record("fedavg", costs=costs)
    away["scenario"] |= {"availability": {"present": 0.7}}
    folder = folder_with(tmp_path / "a", away)
    _added_everywhere(folder, "asked visits", "asked_visits", "143")
    assert pd.read_csv(folder / "runs.csv")["asked_steps"].tolist() == [612]
    publish(folder_with(tmp_path / "b", there), ("csv", "md"))
    assert "asked_visits" not in pd.read_csv(tmp_path / "b" / "runs.csv")


def test_forward_passes_are_shown_where_there_were_any(tmp_path):
    old, none = record("old"), record("none", costs={**COSTS, "forward_samples": 0, "adapt_forward_samples": 0})
    some = record("some", costs={**COSTS, "forward_samples": 1200, "adapt_forward_samples": 0})
    folder = folder_with(tmp_path / "a", old, none)
    runs = read_runs(folder)
    assert runs["forward_samples"].isna().tolist() == [False, True], "older runs did not count them"
    assert not {column.title for column in text_columns(leaderboard(runs))} & set(FORWARD)
    folder = folder_with(tmp_path / "b", old, none, some)
    _added_everywhere(folder, FORWARD[0], "forward_samples", "1200")
    table = leaderboard(read_runs(folder))
    shown = text_columns(table)
    place = [column.title for column in shown].index(FORWARD[0])
    cells = dict(zip(table["method"], (row[place] for row in texts(table, shown)), strict=True))
    assert cells == {"old": "-", "none": "0", "some": "1200"}
    assert FORWARD[1] not in [column.title for column in shown]


def test_rounds_and_steps_of_adaptation_are_shown(tmp_path):
    adapting = record("fedavg_ft", rounds=60, costs={**COSTS, "adapt_steps": 4000})
    _added_everywhere(folder_with(tmp_path, adapting, record(rounds=60)), "adapt steps", "adapt_steps", "4000")
    _added_everywhere(tmp_path, "rounds", "rounds", "60")
    runs = read_runs(folder_with(tmp_path / "none", record(rounds=60, costs={**COSTS, "adapt_steps": 0})))
    assert "adapt steps" not in {column.title for column in text_columns(leaderboard(runs))}


def test_a_figure_that_is_no_number_is_an_error():
    column = Column("x", lambda record: "many", figure=True)
    with pytest.raises(ValueError, match="many"):
        column.value(None)
