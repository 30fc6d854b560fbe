"""Results as frames: of a folder, and as they ship with the package."""

from pathlib import Path

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

import pfl_bench as pfl
from pfl_bench.results import shipped
from pfl_bench.results.frame import scan_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.packed import dumps, loads
from pfl_bench.results.render import to_csv
from pfl_bench.testing.ship import published_suites, tables_of
from tests.ledgers import folder_with, full_folder, record

PUBLISHED = Path(__file__).parents[3] / "results" / "published"
SUITES = published_suites(PUBLISHED)


def test_what_ships_is_what_is_published():
    assert shipped.names() == sorted(SUITES), "python -m pfl_bench.testing.ship"


@pytest.mark.parametrize("name", SUITES)
def test_shipped_frames_are_those_of_the_runs(name):
    """Made again with ``python -m pfl_bench.testing.ship``."""
    tables, results = tables_of(SUITES[name]), pfl.published(name)
    for table, own in tables.items():
        found = getattr(results, table)
        assert set(found) == set(own), table
        assert_frame_equal(found[list(own)], own, check_dtype=False)
    assert to_csv(results.leaderboard()) == (SUITES[name] / "leaderboard.csv").read_text(encoding="utf-8")


def test_frames_of_a_folder(tmp_path):
    folder = full_folder(tmp_path / "out" / "s", methods=("fedavg", "local"), scenarios=("b-v1", "a-v1"), seeds=2)
    results = pfl.load(tmp_path / "out")
    assert (results.title, results.folder) == ("s", folder) and len(results.runs) == 8 and not results.failed
    assert len(results.clients) == 8 * 6 and set(results.curves["split"]) == {"validation", "test"}
    assert results.clients["accuracy"].between(0, 100).all()
    assert to_csv(results.leaderboard()) == to_csv(leaderboard(scan_runs(folder)[0]))
    one = results.leaderboard("a-v1")
    assert set(one["scenario"]) == {"a-v1"} and len(one) == 2
    with pytest.raises(pfl.RequestError, match="unknown scenario 'c-v1'"):
        results.leaderboard("c-v1")
    assert "8 runs of 2 methods on 2 scenarios" in repr(results)
    assert "<table" in results._repr_html_() and "accuracy_mean" in results._repr_html_()


def test_what_failed_and_what_could_not_be_read_is_told(tmp_path):
    folder = folder_with(tmp_path / "s", record(), record("local", status="failed", reason="no luck"))
    (folder / "runs" / "ditto-s0-0").mkdir()
    results = pfl.load(folder)
    assert list(results.failed.values()) == ["no luck"] and "ditto-s0-0" in results.notes[0]


def test_a_plot_has_a_panel_per_scenario(tmp_path):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.switch_backend("Agg")
    results = pfl.load(full_folder(tmp_path / "s", methods=("fedavg", "local"), scenarios=("b-v1", "a-v1"), seeds=2))
    axes = results.plot()
    assert len(axes) == 2 and [len(own.get_lines()) for own in axes] == [2, 2]
    assert len(results.plot("a-v1")) == 1
    plt.close("all")


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda place: pfl.published("quik"), "unknown published suite 'quik': did you mean 'quick'?"),
        (lambda place: pfl.load(place / "none"), "is no results folder"),
        (lambda place: pfl.load(place), "holds the results of several suites: a, b"),
        (lambda place: pfl.load(folder_with(place / "e", record(status="failed"))).plot(), "no finished run to plot"),
    ],
)
def test_wrong_requests(tmp_path, ask, said):
    for name in ("a", "b"):
        folder_with(tmp_path / name, record())
    with pytest.raises(pfl.RequestError, match="^[^\n]*$") as caught:
        ask(tmp_path)
    assert said in str(caught.value)


def test_missing_and_whole_numbers_survive_the_file():
    runs = pd.DataFrame({"run_id": ["a", "b"], "seed": [0, 1], "accuracy": [1 / 3, None], "reason": ["", "x"]})
    rows = pd.DataFrame({"run_id": ["b", "a", "b"], "seed": [1, 0, 1], "visits": [1, 2, 3]})
    found = loads(dumps({"runs": runs, "clients": rows, "curves": rows}))
    assert_frame_equal(found["runs"], runs)
    assert_frame_equal(found["curves"][list(rows)], rows)
