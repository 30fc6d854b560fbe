import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pfl_bench.results.display import marks, text_columns, texts
from pfl_bench.results.entries import entries
from pfl_bench.results.frame import read_runs, scan_runs
from pfl_bench.results.latex import to_latex
from pfl_bench.results.leaderboard import confidence_interval, leaderboard
from pfl_bench.results.notes import left_out
from pfl_bench.results.order import natural_key
from pfl_bench.results.publish import publish
from pfl_bench.results.render import to_csv, to_markdown
from pfl_bench.results.statistics.paired import accuracy_table
from pfl_bench.results.statistics.ranks import scenario_means
from tests.ledgers import folder_with, id_of, record


def test_means_intervals_and_ranks(tmp_path):
    runs = read_runs(folder_with(
        tmp_path,
        record("b", 0, 60.0), record("b", 1, 62.0), record("b", 2, 64.0),
        record("a", 0, 62.0), record("a", 1, 62.001),
        record("c", 0, 10.0), record("c", 1, status="failed", reason="disk"),
    ))  # fmt: skip
    table = leaderboard(runs).set_index("method")
    assert table.loc["b", "accuracy_mean"] == pytest.approx(62.0)
    assert table.loc["b", "accuracy_std"] == pytest.approx(2.0)
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t of 2 degrees of freedom at 97.5 %
    assert (table.loc["b", "ci_low"], table.loc["b", "ci_high"]) == pytest.approx((62 - half, 62 + half))
    assert table["rank"].to_dict() == {"a": 1, "b": 1, "c": 3}, "ties share a rank"
    assert (table.loc["c", "seeds"], table.loc["c", "failed"], table.loc["c", "reason"]) == (1, 1, "disk")
    assert np.isnan(table.loc["c", "ci_low"]), "one seed has no interval"
    ids = " ".join(id_of(record("a", seed)) for seed in (0, 1))
    assert table.loc["a", "runs"] == ids, "every cell leads back to its runs"
    assert table.loc["a", "seconds"] == pytest.approx(2.0)


def test_configurations_are_told_apart(tmp_path):
    runs = read_runs(folder_with(
        tmp_path, record(config={"lr": 0.1, "m": 1}), record(config={"lr": 0.2, "m": 1}), record("other"),
    ))  # fmt: skip
    table = leaderboard(runs)
    assert set(table["variant"]) == {"lr=0.1", "lr=0.2", ""}


def test_scenarios_are_ordered_by_the_numbers_in_their_names(tmp_path):
    names = ["c10-n100-v1", "c10-n50-v1@0.1x", "c10-n50-v1", "c100-n10-v1", "c10-n10-v1"]
    runs = read_runs(folder_with(tmp_path, *(record(scenario=name) for name in names)))
    expected = ["c10-n10-v1", "c10-n50-v1", "c10-n50-v1@0.1x", "c10-n100-v1", "c100-n10-v1"]
    assert runs["scenario"].tolist() == expected == leaderboard(runs)["scenario"].tolist()


@given(st.integers(0, 10**9), st.integers(0, 10**9))
def test_the_natural_order_of_two_names_is_that_of_their_numbers(a, b):
    assert (natural_key(f"n{a}-x") < natural_key(f"n{b}-x")) == (a < b)


def test_a_failed_method_stays_in_the_table(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record("x", status="diverged", reason="NaN"), record("y"))))
    assert table["method"].tolist() == ["y", "x"]
    assert pd.isna(table["rank"].iloc[1])
    assert "0, 1 diverged" in texts(table, text_columns(table))[1][-1]


def test_foreign_and_damaged_folders_are_left_out(tmp_path):
    folder_with(tmp_path, record(), record(seed=1))
    (tmp_path / "runs" / id_of(record(seed=1)) / "run.json").write_text('{"schema": 1, "status": "finished"}')
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "file.txt").write_text("x")
    assert read_runs(tmp_path)["run_id"].tolist() == [id_of(record())]
    assert leaderboard(read_runs(tmp_path / "empty")).empty


def test_renderings(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record("a_b", 0, 50.0), record("a_b", 1, 52.0))))
    markdown, latex = to_markdown(table), to_latex(table)
    assert "### sc-v1: 100 client visits x 5 local steps, 0.1 x the full budget" in markdown
    assert "| 1 | a_b | **51.00 ± 1.41** |" in markdown
    assert r"a\_b & 1 & \textbf{51.00 $\pm$ 1.41}" in latex and r"\toprule" in latex
    assert latex.count(r"\\") == 2 * latex.count(r"\begin{tabular}")
    back = pd.read_csv(__import__("io").StringIO(to_csv(table)))
    assert back["accuracy_mean"].iloc[0] == pytest.approx(51.0)
    assert back.columns[:3].tolist() == ["scenario", "rank", "method"]


def test_files_are_written_and_rebuilt_identically(tmp_path):
    folder_with(tmp_path, record(), record(seed=1, accuracy=55.0))
    written = publish(tmp_path, ("csv", "md", "tex")).files
    assert sorted(p.name for p in written) == ["leaderboard.csv", "leaderboard.md", "leaderboard.tex", "runs.csv"]
    texts = [p.read_text() for p in written]
    assert texts == [p.read_text() for p in publish(tmp_path, ("csv", "md", "tex")).files]


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=10))
def test_interval_holds_the_mean_and_ignores_order(values):
    array = np.asarray(values)
    low, high = confidence_interval(array)
    assert np.isnan(low) or low - 1e-9 <= array.mean() <= high + 1e-9
    assert confidence_interval(array[::-1]) == pytest.approx((low, high), nan_ok=True)


def test_an_interval_that_tells_nothing_is_untold(tmp_path):
    """Two seeds twenty points apart: Student's t would say 0 to 100."""
    table = leaderboard(read_runs(folder_with(tmp_path, record(seed=0, accuracy=60.0), record(seed=1, accuracy=80.0))))
    assert table["ci_low"].isna().all() and table["ci_high"].isna().all()
    assert "| untold |" in to_markdown(table)
    assert confidence_interval(np.array([90.0, 92.0])) == pytest.approx((78.2938, 100), abs=1e-3)


def test_interval_covers_the_truth_in_95_of_100_cases():
    rng = np.random.default_rng(0)
    hits = [low <= 50 <= high for low, high in (confidence_interval(rng.normal(50, 3, 3)) for _ in range(4000))]
    assert np.mean(hits) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize(("seeds", "marked"), [(5, False), (6, True)])
def test_a_dagger_that_could_not_have_failed_is_not_printed(tmp_path, seeds, marked):
    """Two methods that are hardly apart: with six seeds one could have been excluded, with five it could not."""
    runs = [record(m, s, 50 + (s * 7 + k) % 5) for k, m in enumerate("abc") for s in range(seeds)]
    markdown = to_markdown(leaderboard(read_runs(folder_with(tmp_path, *runs))))
    assert (" †" in markdown.split("\n\n")[1]) == marked and ("it takes 6" in markdown) != marked
    assert "given this one data set" in markdown


def test_the_best_is_marked_and_what_is_not_significantly_worse(tmp_path):
    gains = {"a": lambda seed: 9.0, "b": lambda seed: 8 + (-1) ** seed * (1 + seed), "c": lambda seed: 0.1 * seed}
    runs = [record(method, seed, 50 + gain(seed)) for method, gain in gains.items() for seed in range(9)]
    table = leaderboard(read_runs(folder_with(tmp_path, *runs)))
    verdicts = table.set_index("method")["versus_best"].to_dict()
    assert verdicts == {"a": "best", "b": "not significantly different", "c": "worse"}
    assert [sorted(m) for m in marks(table)] == [["best"], ["second", "tie"], []]
    markdown, latex = to_markdown(table), to_latex(table)
    assert "| 1 | a | **" in markdown and " †</ins>" in markdown and "confidence set" in markdown
    assert r"\textbf{" in latex and r"\underline{" in latex and r"$^\dagger$" in latex


def test_the_best_is_nobody_whom_the_set_excludes(tmp_path):
    """With the six easy seeds alone b has the higher mean, and loses to a at each of them."""
    runs = [record("a", seed, 99.0 if seed < 6 else 80.0) for seed in range(10)]
    runs += [record("b", seed, 98.5) for seed in range(6)]
    table = leaderboard(read_runs(folder_with(tmp_path, *runs))).set_index("method")
    assert table["versus_best"].to_dict() == {"a": "best", "b": "worse"}
    assert table.loc["b", "difference_to_best"] == pytest.approx(-0.5)


def test_who_is_undefined_at_a_seed_has_no_rank_and_is_not_the_best(tmp_path):
    frame = read_runs(
        folder_with(tmp_path, *(record(m, s, 50.0 + s + 20 * (m == "b")) for m in "ab" for s in range(7)))
    )
    frame.loc[(frame["method"] == "b") & (frame["seed"] == 3), "accuracy"] = np.nan
    table = leaderboard(frame).set_index("method")
    assert table["versus_best"].to_dict() == {"a": "best", "b": "untested"}
    assert pd.isna(table.loc["b", "rank"]) and table.loc["b", "versus_note"] == "what ranks is undefined"


def test_without_enough_seeds_it_says_so_instead_of_a_p_value(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record("a"), record("b", 0, 60.0))))
    assert table["p_versus_best"].isna().all() and table["versus_best"].tolist() == ["best", "untested"]
    assert "Not tested against the best: 1 common seed; it takes 6." in to_markdown(table)


def test_what_was_left_out_is_named(tmp_path):
    folder = folder_with(tmp_path, *(record(seed=s) for s in range(6)))
    places = [folder / "runs" / id_of(record(seed=s)) / "run.json" for s in range(6)]
    places[1].write_text('{"schema": 1, "status"')
    places[2].write_text('{"schema": 99}')
    places[3].unlink()
    places[4].write_text(json.dumps({**record(seed=4), "schema": 1, "costs": "x"}))
    places[5].write_text(json.dumps({**record(seed=5, status="won"), "schema": 1}))
    runs, problems = scan_runs(folder)
    assert runs["run_id"].tolist() == [places[0].parent.name]
    assert [p.where for p in problems] == [f"runs/{place.parent.name}" for place in places[1:]]
    for problem, word in zip(problems, ["not JSON", "schema 99", "no run.json", "wrong type", "'won'"], strict=True):
        assert word in problem.why
    (line,) = left_out(problems)
    assert line.startswith("Left out (5): runs/") and line.endswith("and 2 more") and len(line) < 700


EDITED = {"sources": {"method:methods/fedavg.py": "e" * 64}}


def test_other_code_is_a_row_of_its_own(tmp_path):
    """In the table, in its test against the best, and in the order of ranks over scenarios."""
    rows = [record("fedavg", seed, 60.0 + seed, **(EDITED if seed == 3 else {})) for seed in range(4)]
    rows += [record("fedavg", seed, 90.0, scenario="other-v1", **EDITED) for seed in range(2)]
    runs = read_runs(folder_with(tmp_path, *rows, record("local", 0, 10.0)))
    table = leaderboard(runs).set_index(["scenario", "method", "variant"])
    (code,) = {label for label in runs["code_label"] if label}
    assert code.startswith("code ")
    assert table["seeds"].to_dict() == {
        ("other-v1", "fedavg", code): 2, ("sc-v1", "fedavg", ""): 3, ("sc-v1", "fedavg", code): 1,
        ("sc-v1", "local", ""): 1,
    }  # fmt: skip
    assert table.loc[("sc-v1", "fedavg", ""), "accuracy_mean"] == 61.0
    entry = runs.assign(entry=entries(runs))
    assert accuracy_table(entry, "sc-v1")["fedavg"].notna().sum() == 3
    assert scenario_means(entry).loc["other-v1"].dropna().to_dict() == {f"fedavg ({code})": 90.0}


def test_other_data_models_and_splits_are_scenarios_of_their_own(tmp_path):
    rows = [record("fedavg", seed, 60.0, data_sha256="a" * 64) for seed in range(3)]
    rows.append(record("fedavg", 3, 0.0, data_sha256="b" * 64))
    rows.append(record("ditto", 0, 99.0, data_sha256="a" * 64, sources={"model:net.py": "f" * 64}))
    rows.append(record("local", 1, 99.0, data_sha256="a" * 64, partition_sha256="c" * 64, time="2025"))
    table = leaderboard(read_runs(folder_with(tmp_path, *rows)))
    means = dict(zip(table["scenario"], table["accuracy_mean"], strict=True))
    model = next(name for name in means if "[model " in name)
    assert means == {"sc-v1": 60.0, "sc-v1 [data bbbbbb]": 0.0, "sc-v1 [split cccccc]": 99.0, model: 99.0}
    assert set(table["versus_best"]) == {"best"}, "nothing is compared with what it cannot be compared with"


def test_versions_of_a_method_are_told_apart(tmp_path):
    second = record(seed=1, config_identity={"lr": 0.1, "version": 2})
    names = {f"config {run['config_hash'][:6]}" for run in (record(), second)}
    assert set(leaderboard(read_runs(folder_with(tmp_path, record(), second)))["variant"]) == names


def test_a_field_that_came_later_is_no_difference_where_it_is_at_its_default(tmp_path):
    old, new = record(config={"lr": 0.1}), record(seed=1, config={"lr": 0.1, "later": 1.0})
    used = record(config={"lr": 0.1, "later": 2.0})
    new |= {"config_hash": old["config_hash"], "config_identity": old["config"]}
    assert set(leaderboard(read_runs(folder_with(tmp_path, old, new, used)))["variant"]) == {"later=1.0", "later=2.0"}


def test_what_is_kept_aside_is_in_no_table(tmp_path):
    folder = folder_with(tmp_path, record())
    (folder / "aside").mkdir()
    name = id_of(record())
    (folder / "runs" / name).rename(folder / "aside" / f"{name}.1")
    assert read_runs(folder).empty


def test_runs_csv_speaks_of_code_only_where_it_is_another(tmp_path):
    shipped = to_csv(read_runs(folder_with(tmp_path / "a", record())))
    edited = to_csv(read_runs(folder_with(tmp_path / "b", record("fedavg", 1, **EDITED), record())))
    assert "code" not in shipped.splitlines()[0].split(",") and "code_label" in edited.splitlines()[0].split(",")
