"""Others' figures: read from files, shown beside ours, and part of nothing that is computed."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from pfl_bench.errors import RequestError
from pfl_bench.results.frame import read_runs
from pfl_bench.results.imports import Figure, Wanted, keep_imported, read_figures, read_imported, with_imported
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.publish import publish
from pfl_bench.results.render import to_csv
from tests.ledgers import folder_with, record

COLUMNS = {"scenario": "data", "method": "algo", "accuracy": "acc"}
TABLE = "data,algo,acc,spread\nsc-v1,FedAvg,51.5,0.5\nsc-v1,Per-FedAvg,60,1\nsc-v1,FedNew,70.25,0.1\n"
METHODS = ("fedavg", "per_fedavg", "pfedme")


def table_file(tmp_path, text=TABLE, name="theirs.csv"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_a_csv_file_with_a_spread_of_its_own(tmp_path):
    wanted = Wanted(columns={**COLUMNS, "std": "spread"}, methods=METHODS)
    first, second, third = read_figures([table_file(tmp_path)], wanted)
    assert (first.scenario, first.method, first.mean, first.std) == ("sc-v1", "fedavg", 51.5, 0.5)
    assert (second.method, third.method) == ("per_fedavg", "FedNew"), "ours in their spelling, and theirs as it is"
    assert str(first) == "51.50 ± 0.50 (theirs.csv, as given)"
    assert first.source == "theirs.csv" and re.fullmatch("[0-9a-f]{64}", first.files["theirs.csv"])


def test_rows_of_one_cell_are_runs(tmp_path):
    text = "algo,acc\nFedAvg,0.5\nFedAvg,0.6\nFedAvg,0.7\n"
    wanted = Wanted(
        "sc-v1", None, {"method": "algo", "accuracy": "acc"}, "fraction", source="somebody", methods=METHODS
    )
    (found,) = read_figures([table_file(tmp_path, text)], wanted)
    assert (found.mean, found.runs, found.source) == (pytest.approx(60.0), 3, "somebody")
    assert found.std == pytest.approx(10.0)
    assert str(found) == "60.00 ± 10.00 (somebody, 3 runs)"


def h5_file(path, values=(0.2, 0.9, 0.8), key="rs_test_acc"):
    h5py = pytest.importorskip("h5py", reason="pip install 'pfl-bench[pfllib]'")
    with h5py.File(path, "w") as file:
        file.create_dataset(key, data=values)
        file.create_dataset("rs_train_loss", data=[1.0])
    return path


def test_pfllibs_files_best_and_last(tmp_path):
    names = ("Cifar10_pFedMe_test_0", "Cifar10_pFedMe_test_1", "Cifar_10_PerAvg_test_0")
    values = ((0.2, 0.9, 0.8), (0.2, 0.7, 0.6), (0.5, 0.5, 0.5, 0.25))
    files = [h5_file(tmp_path / f"{name}.h5", own) for name, own in zip(names, values, strict=True)]
    best, other = read_figures(files, Wanted("sc-v1", methods=METHODS))
    assert (best.method, best.mean, best.runs) == ("pfedme", pytest.approx(80.0), 2)
    assert best.what == "best of 3 evaluations on test data" and best.source == "PFLlib"
    assert (other.method, other.mean, other.std) == ("per_fedavg", 50.0, None)
    last, other = read_figures(files, Wanted("sc-v1", pick="last", methods=METHODS))
    assert (last.mean, other.mean) == (pytest.approx(70.0), 25.0)
    (all_of_one,) = read_figures(files, Wanted("sc-v1", "mine"))
    assert (all_of_one.method, all_of_one.runs) == ("mine", 3)


def suite_folder(tmp_path):
    runs = [record("fedavg", seed, 50.0 + seed) for seed in (0, 1)] + [record("ditto", 0, 60.0)]
    return folder_with(tmp_path / "s", *runs)


FIGURES = [
    Figure("sc-v1", "fedavg", 99.0, 0.5, 3, "PFLlib", "best of 9 evaluations on test data"),
    Figure("sc-v1", "fedavg", 98.0, None, 1, "a | table"),
    Figure("sc-v1", "fednew", 99.9, None, 1, "<b>x</b>"),
    Figure("elsewhere-v1", "fedavg", 1.0, None, 1, "y"),
]


def test_they_stand_beside_ours_and_change_nothing(tmp_path):
    folder = suite_folder(tmp_path)
    plain = leaderboard(read_runs(folder))
    before = to_csv(plain)
    publish(folder)
    csv_before = (folder / "leaderboard.csv").read_bytes()
    keep_imported(folder, FIGURES)
    done = publish(folder, ("csv", "md", "tex", "html"))
    pd.testing.assert_frame_equal(done.table[plain.columns], plain)
    assert to_csv(done.table[plain.columns]) == before
    shown = done.table.set_index("method")["imported"]
    assert (
        shown["fedavg"].startswith("99.00 ± 0.50 (PFLlib, best of 9") and "98.00 (a | table, 1 run)" in shown["fedavg"]
    )
    assert pd.isna(shown["ditto"])
    markdown = (folder / "leaderboard.md").read_text()
    assert "neither ranked nor averaged" in markdown and "a \\| table" in markdown
    assert "no run of ours beside it: fednew 99.90 (\\<b\\>x\\</b\\>, 1 run)" in markdown
    page = (folder / "leaderboard.html").read_text()
    assert "neither ranked nor averaged" in page and "&lt;b&gt;x&lt;/b&gt;" in page and "<b>x</b>" not in page
    assert "1.00 (y" not in markdown + page, "of a scenario without a run nothing can stand beside"
    (folder / "imported.json").unlink()
    publish(folder)
    assert (folder / "leaderboard.csv").read_bytes() == csv_before


def test_the_same_source_again_takes_the_place_of_the_older(tmp_path):
    assert keep_imported(tmp_path, FIGURES[:2]) == 0
    newer = Figure("sc-v1", "fedavg", 50.0, None, 1, "PFLlib")
    assert keep_imported(tmp_path, [newer]) == 1
    figures, problems = read_imported(tmp_path)
    assert not problems and [figure.mean for figure in figures] == [50.0, 98.0]


def test_no_figures_no_columns(tmp_path):
    table = leaderboard(read_runs(suite_folder(tmp_path)))
    assert with_imported(table, ()) is table and with_imported(table, FIGURES[3:]) is table


DAMAGED = ["", "[]", "{}", '{"figures": 1}', '{"figures": [1]}', '{"figures": [{}]}', '{"figures": [{"mean": 1}]}',
           *(json.dumps({"figures": [{"scenario": "s", "method": "m", "mean": 1, "std": None, "runs": 1, "source": "x",
                                      **change}]})
             for change in ({"mean": "1"}, {"mean": -1}, {"std": "x"}, {"source": "x" * 999}, {"method": 3},
                            {"runs": True}))]  # fmt: skip


@pytest.mark.parametrize("text", DAMAGED)
def test_a_damaged_file_is_named_and_costs_no_table(tmp_path, text):
    folder = suite_folder(tmp_path)
    (folder / "imported.json").write_text(text)
    done = publish(folder)
    assert [problem.where for problem in done.problems] == ["imported.json"] and len(done.table) == 2
    with pytest.raises(RequestError, match="imported.json: .*remove it"):
        keep_imported(folder, FIGURES)


CSV = {
    "no such column": (TABLE, {"columns": {**COLUMNS, "accuracy": "accuracy"}}, "has no column 'accuracy'; there are"),
    "no accuracy named": (TABLE, {"columns": {"method": "algo"}}, "say which column has the accuracies"),
    "no method named": (TABLE, {"columns": {"scenario": "data", "accuracy": "acc"}}, "give either --method NAME or"),
    "both named": (TABLE, {"scenario": "sc-v1"}, "scenario: give either --scenario NAME or"),
    "unknown column": (TABLE, {"columns": {**COLUMNS, "sd": "spread"}}, "unknown column 'sd'"),
    "unknown unit": (TABLE, {"unit": "permille"}, "unknown unit 'permille'"),
    "unknown figure": (TABLE, {"pick": "mean"}, "unknown figure 'mean'"),
    "fractions": ("data,algo,acc\na,b,0.5\n", {}, "say --unit fraction"),
    "percent as fractions": (TABLE, {"unit": "fraction"}, "line 2, column 'acc': '51.5' must be a number from 0 to 1"),
    "words": ("data,algo,acc\na,b,70\na,c,high\n", {}, "line 3, column 'acc': 'high' must be"),
    "missing": ("data,algo,acc\na,b,70\na,c,\n", {}, "line 3, column 'acc': 'nan' must be"),
    "below 0": ("data,algo,acc\na,b,-1\n", {}, "line 2, column 'acc'"),
    "beyond 100": ("data,algo,acc\na,b,101\n", {}, "line 2, column 'acc'"),
    "infinite": ("data,algo,acc\na,b,inf\n", {}, "line 2, column 'acc'"),
    "no name": ("data,algo,acc\na,,70\n", {}, "column 'algo': a name is missing"),
    "a long name": (f"data,algo,acc\na,{'b' * 999},70\n", {}, "column 'algo': a name is missing, or too long"),
    "no row": ("data,algo,acc\n", {}, "has no row"),
    "empty": ("", {}, "is not readable as CSV"),
    "ragged": ('a,b\n1,2,3,4\n"', {}, "is not readable as CSV|has no column"),
    "two rows and a spread": (TABLE * 2, {"columns": {**COLUMNS, "std": "spread"}}, "must be a number|2 rows for"),
    "no source": (TABLE, {"source": " "}, "--source: ' ' must be a text"),
}  # fmt: skip


@pytest.mark.parametrize("case", CSV)
def test_wrong_csv_files_are_one_line(tmp_path, case):
    text, changes, said = CSV[case]
    wanted = Wanted(**{"columns": COLUMNS, **changes})
    with pytest.raises(RequestError) as refused:
        read_figures([table_file(tmp_path, text)], wanted)
    assert re.search(said, str(refused.value)) and "\n" not in str(refused.value), str(refused.value)
    assert len(str(refused.value)) < 700


H5 = {
    "no such data": ({"key": "acc"}, {}, "has no rs_test_acc"),
    "percent": ({"values": (51.0, 52.0)}, {}, "must be fractions from 0 to 1"),
    "below 0": ({"values": (-0.1,)}, {}, "must be fractions from 0 to 1"),
    "missing": ({"values": (0.5, np.nan)}, {}, "must be fractions from 0 to 1"),
    "empty": ({"values": np.zeros(0)}, {}, "not numbers"),
    "a table": ({"values": np.zeros((2, 2))}, {}, "not numbers"),
    "texts": ({"values": [b"a", b"b"]}, {}, "not numbers"),
    "one number": ({"values": 0.5}, {}, "not numbers"),
    "no scenario": ({}, {"scenario": None}, "--scenario: a .h5 file of PFLlib does not say"),
    "columns": ({}, {"columns": {"accuracy": "a"}}, "--column is for CSV files"),
}  # fmt: skip


@pytest.mark.parametrize("case", H5)
def test_wrong_h5_files_are_one_line(tmp_path, case):
    content, changes, said = H5[case]
    path = h5_file(tmp_path / "mnist_FedAvg_test_0.h5", **content)
    with pytest.raises(RequestError, match=said):
        read_figures([path], Wanted(**{"scenario": "sc-v1", **changes}))


def test_what_is_no_h5_file(tmp_path):
    pytest.importorskip("h5py")
    path = h5_file(tmp_path / "mnist_FedAvg_test_0.h5")
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(RequestError, match="is not readable as .h5"):
        read_figures([path], Wanted("sc-v1"))
    with pytest.raises(RequestError, match="'a.h5' is not called as PFLlib calls them"):
        read_figures([h5_file(tmp_path / "a.h5")], Wanted("sc-v1"))


@pytest.mark.parametrize(
    ("names", "said"),
    [(("none.csv",), "does not exist"), (("a.txt",), "must be all .h5 or all .csv"), (("folder.csv",), "is no file"),
     (("theirs.csv", "a.h5"), "must be all .h5 or all .csv")],
)  # fmt: skip
def test_wrong_files(tmp_path, names, said):
    (tmp_path / "folder.csv").mkdir()
    table_file(tmp_path)
    with pytest.raises(RequestError, match=said):
        read_figures([tmp_path / name for name in names], Wanted(columns=COLUMNS))


def test_the_command(cli, tmp_path):
    (tmp_path / "results").mkdir()
    suite_folder(tmp_path / "results")
    table_file(tmp_path)
    words = ("results", "import", "theirs.csv", "--suite", "s")
    columns = [f"--column={what}={name}" for what, name in COLUMNS.items()]
    status, out, error = cli(*words, *columns, "--source", "their paper")
    assert status == 0, error
    assert "fedavg 51.50 (their paper, 1 run)" in out and "neither ranked nor averaged" in out
    status, out, _ = cli("leaderboard", "--suite", "s", "--format", "md")
    assert status == 0 and "no run of ours beside it" in out and "FedNew 70.25 (their paper, 1 run)" in out
    before = (tmp_path / "results" / "s" / "imported.json").read_bytes()
    for more, said in (
        ((*columns[1:], "--scenario", "sc-v2"), "unknown scenario 'sc-v2'"),
        (("--column", "acc"), "must be WHAT=COLUMN"),
        (("--suite", "none"), "is no suite of the package"),
    ):
        status, _, error = cli(*words, *more)
        assert status == 2 and said in error and error.count("\n") == 1
    assert (tmp_path / "results" / "s" / "imported.json").read_bytes() == before
