import numpy as np
import pytest

from pfl_bench.cli.app import run_command_line
from pfl_bench.results.comparison import compare, regressions
from pfl_bench.results.frame import read_runs
from tests.ledgers import folder_with, record

BEFORE = [60.0, 61.0, 62.0, 63.0]


def runs(folder, accuracies, method="a", **changes):
    return [record(method, seed, value, **changes) for seed, value in enumerate(accuracies)]


def verdicts(tmp_path, before, after) -> dict[str, str]:
    frames = [read_runs(folder_with(tmp_path / name, *rows)) for name, rows in (("b", before), ("a", after))]
    return {cell.entry: cell.verdict for cell in compare(*frames)}


@pytest.mark.parametrize(
    ("after", "verdict"),
    [
        (BEFORE, "same"),
        ([58.0, 59.1, 59.9, 61.0], "worse"),
        ([62.0, 63.1, 63.9, 65.0], "better"),
        ([62.0, 59.0, 63.5, 62.0], "within noise"),
        ([59.0, 60.0, 61.0, 62.0], "worse"),  # by exactly one point each time
        ([value + 1e-11 for value in BEFORE], "same"),  # rounding
        ([50.0, 51.0], "too few seeds"),
    ],
)
def test_verdicts(tmp_path, after, verdict):
    assert verdicts(tmp_path, runs(tmp_path, BEFORE), runs(tmp_path, after)) == {"a": verdict}


def test_cells_that_came_went_or_broke(tmp_path):
    before = runs(tmp_path, BEFORE) + runs(tmp_path, BEFORE, "old") + runs(tmp_path, BEFORE, "broken")
    after = runs(tmp_path, BEFORE) + runs(tmp_path, BEFORE, "new")
    after += [record("broken", seed, status="diverged", reason="NaN") for seed in range(4)]
    assert verdicts(tmp_path, before, after) == {"a": "same", "old": "gone", "new": "new", "broken": "lost"}


def test_other_splits_are_no_pairs(tmp_path):
    after = runs(tmp_path, [50.0] * 4, partition_sha256="f" * 64)
    assert verdicts(tmp_path, runs(tmp_path, BEFORE), after) == {"a": "other splits"}


def cells(tmp_path, before, after):
    frames = [read_runs(folder_with(tmp_path / name, *rows)) for name, rows in (("b", before), ("a", after))]
    return {(cell.scenario, cell.entry): cell for cell in compare(*frames)}


def code(text: str) -> dict:
    return {"sources": {"method:mine.py": text * 64}}


def test_other_data_are_no_pairs(tmp_path):
    before, after = (runs(tmp_path, BEFORE, data_sha256=d * 64) for d in "ab")
    (cell,) = cells(tmp_path, before, after).values()
    assert (cell.verdict, cell.seeds, cell.left_out) == ("other data", 0, ())


def test_only_like_is_paired_with_like_and_the_rest_is_named(tmp_path):
    before = runs(tmp_path, BEFORE, data_sha256="a" * 64)
    after = [*runs(tmp_path, BEFORE[:3], data_sha256="a" * 64), record("a", 3, 0.0, data_sha256="b" * 64)]
    (cell,) = cells(tmp_path, before, after).values()
    assert (cell.verdict, cell.seeds, cell.after) == ("same", 3, 61.0)
    assert cell.left_out == ("after, seeds 3: data bbbbbb", "before, seeds 3: no like after")


def test_a_change_of_code_is_what_is_asked_about(tmp_path):
    before, after = runs(tmp_path, BEFORE, **code("a")), runs(tmp_path, [58.0, 59.1, 59.9, 61.0], **code("b"))
    (cell,) = cells(tmp_path, before, after).values()
    assert (cell.verdict, cell.left_out) == ("worse", ())


def test_where_both_have_the_same_code_that_is_compared(tmp_path):
    before = [*runs(tmp_path, BEFORE[:3], **code("a")), record("a", 3, 10.0, **code("b"))]
    (cell,) = cells(tmp_path, before, runs(tmp_path, BEFORE, **code("a"))).values()
    assert (cell.verdict, cell.before, cell.seeds) == ("same", 61.0, 3)
    other_code, unpaired = cell.left_out
    assert other_code.startswith("before, seeds 3: code ") and unpaired == "after, seeds 3: no like before"


def test_before_after_and_difference_are_of_the_same_seeds(tmp_path):
    """Ten seeds before, three others and one common one after: once "before 94.90, after 96.73, difference +0.00"."""
    before = [record("a", seed, 90.0 + seed) for seed in range(10)]
    after = [record("a", seed, 99.0) for seed in (9, 10, 11)] + [record("a", 8, status="failed", reason="disk")]
    (cell,) = cells(tmp_path, before, [*after[:3]]).values()
    assert (cell.before, cell.after, cell.difference, cell.seeds) == (99.0, 99.0, 0.0, 1)
    assert cell.left_out == (
        "before, seeds 0, 1, 2, 3, 4, 5, 6, 7, 8: no like after",
        "after, seeds 10, 11: no like before",
    )
    (lost,) = cells(tmp_path / "lost", before, after).values()
    assert lost.verdict == "lost" and "before, seeds 8: failed after" in lost.left_out


def test_without_a_pair_there_is_no_figure_to_compare(tmp_path, capsys):
    before, after = ([record("a", seed, 50.0) for seed in seeds] for seeds in (range(3), range(3, 6)))
    (cell,) = cells(tmp_path, before, after).values()
    assert (cell.verdict, cell.seeds) == ("too few seeds", 0)
    assert np.isnan([cell.before, cell.after, cell.difference]).all() and len(cell.left_out) == 2
    assert run_command_line(["compare", str(tmp_path / "b"), str(tmp_path / "a")]) == 1
    assert "Nothing was compared" in capsys.readouterr().out


@pytest.mark.parametrize("changed", [{"visits": 200}, {"batch_size": 8}, {"budget_scale": 0.2}, {"precision": "bf16"}])
def test_other_budgets_and_batch_sizes_are_other_cells(tmp_path, changed):
    after = [{**one, "scenario": {**one["scenario"], **changed}} for one in runs(tmp_path, BEFORE)]
    found = cells(tmp_path, runs(tmp_path, BEFORE), after)
    assert sorted(cell.verdict for cell in found.values()) == ["gone", "new"]


def test_other_splits_at_some_seeds_are_named(tmp_path):
    after = [*runs(tmp_path, BEFORE[:3]), record("a", 3, 0.0, partition_sha256="f" * 64)]
    (cell,) = cells(tmp_path, runs(tmp_path, BEFORE), after).values()
    assert (cell.verdict, cell.seeds, cell.left_out) == ("same", 3, ("seeds 3: other splits",))


def test_a_scenario_that_was_edited_without_a_new_version_is_another_cell(tmp_path):
    edited = {"id": "sc-v1", "visits": 200, "local_steps": 5, "budget_scale": 0.1, "precision": "fp32"}
    after = [{**one, "scenario": edited} for one in runs(tmp_path, BEFORE)]
    found = cells(tmp_path, runs(tmp_path, BEFORE), after)
    assert sorted(cell.verdict for cell in found.values()) == ["gone", "new"]
    assert all(scenario.startswith("sc-v1 [") for scenario, _ in found)


def test_false_alarms_are_rare(tmp_path):
    """Without a true difference a table of four methods may raise an alarm in 5 % of the comparisons."""
    rng, alarms, base = np.random.default_rng(0), [], None
    rows = [record(f"m{k}", seed, 50.0) for k in range(4) for seed in range(4)]
    base = read_runs(folder_with(tmp_path, *rows))
    for _ in range(40):
        frames = [base.assign(accuracy=base["accuracy"] + rng.normal(0, 1, len(base))) for _ in range(2)]
        moved = compare(*frames)
        alarms.append(any(cell.verdict in ("worse", "better") for cell in moved))
    assert np.mean(alarms) <= 0.09


def test_the_exit_status_is_for_continuous_integration(tmp_path, capsys):
    before = folder_with(tmp_path / "before", *runs(tmp_path, BEFORE))
    worse = folder_with(tmp_path / "worse", *runs(tmp_path, [50.0, 51.1, 52.0, 53.0]))
    assert run_command_line(["compare", str(before), str(before)]) == 0
    assert run_command_line(["compare", str(worse), str(before)]) == 0
    assert run_command_line(["compare", str(before), str(worse)]) == 1
    assert "1 of 1 cell got worse" in capsys.readouterr().out
    assert regressions(compare(read_runs(before), read_runs(worse)))


def test_wrong_folders_are_refused(tmp_path, capsys):
    before = folder_with(tmp_path / "before", record())
    (tmp_path / "empty" / "runs").mkdir(parents=True)
    assert run_command_line(["compare", str(before), str(tmp_path / "nothing")]) == 2
    assert run_command_line(["compare", str(before), str(tmp_path / "empty")]) == 2
    err = capsys.readouterr().err
    assert "it has no folder 'runs'" in err and "no readable run" in err
