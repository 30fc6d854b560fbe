from pfl_bench.cli.app import run_command_line
from pfl_bench.results.frame import read_runs
from pfl_bench.results.overall import overall, to_markdown
from pfl_bench.results.publish import publish
from pfl_bench.results.report.collect import collect
from pfl_bench.results.report.page import render
from tests.ledgers import folder_with, full_folder, record


def suite(folder):
    """Six scenarios, the first in two editions; ``late`` took part in one only."""
    scenarios = ["s0-v1", *(f"s{k}-v1@0.1x" for k in range(6))]
    rows = [
        record(method, 0, 50.0 + 5 * place + k, scenario=scenario)
        for k, scenario in enumerate(scenarios)
        for place, method in enumerate(("fedavg", "local", "ditto"))
    ]
    return folder_with(folder, *rows, record("late", 0, 99.0, scenario="s3-v1@0.1x"))


LEFT_OUT = ("s0-v1: @0.1x counts for this scenario", "late: in 1 of 6")


def test_what_was_left_out_is_told_on_the_page_in_markdown_and_in_the_terminal(tmp_path, capsys):
    folder = suite(tmp_path / "suite")
    publish(folder, ("md",))
    assert run_command_line(["leaderboard", "--suite", "suite", "--out", str(tmp_path)]) == 0
    texts = (
        render(collect(folder)).split('<script type="application/json"')[0],
        (folder / "leaderboard.md").read_text(encoding="utf-8"),
        capsys.readouterr().out,
    )
    for text in texts:
        assert "Left out of this comparison: " in text and all(each in text for each in LEFT_OUT)
        assert "Scenarios: 6, each in one edition (@0.1x); methods that took part in all of them: 3." in text
        assert "critical difference" in text


def test_figures_are_over_what_is_common(tmp_path):
    found = overall(read_runs(suite(tmp_path)))
    assert found.rows() == [
        ["ditto", "1.00", "63.50", "1.00"],
        ["local", "2.00", "58.50", "0.50"],
        ["fedavg", "3.00", "53.50", "0.00"],
    ]
    assert found.reference == "local" and found.headings()[-1] == "P(better than local)"
    assert "| ditto | 1.00 | 63.50 | 1.00 |" in to_markdown(found)


def test_one_scenario_is_nothing_to_sum_up(tmp_path):
    folder = folder_with(tmp_path, record(), record("local"), record(scenario="sc-v1@0.5x"))
    publish(folder, ("md",))
    assert "Over all scenarios" not in (folder / "leaderboard.md").read_text(encoding="utf-8")


def test_why_scenarios_are_not_tested_is_said_where_seeds_are(tmp_path):
    """Six scenarios with two entries, and a third in one of them: too few entries, not too few scenarios."""
    runs = [
        record(method, seed, 50.0 + seed + place, scenario=f"s{k}-v1")
        for k in range(6) for place, method in enumerate("abc") if method != "c" or k == 0 for seed in range(6)
    ]  # fmt: skip
    verdict = overall(read_runs(folder_with(tmp_path, *runs))).verdict
    assert "Friedman's test over 6 seeds of s0-v1" in verdict
    assert "no test over scenarios (scenarios: 6, entries common to them: 2; it takes 5 and 3)." in verdict


def test_nothing_in_common_is_said(tmp_path):
    found = overall(read_runs(folder_with(tmp_path, record("a", scenario="s"), record("b", scenario="t"))))
    assert "No test of ranks" in found.verdict and found.left_out
    assert overall(read_runs(folder_with(tmp_path / "x", record(status="failed")))).rows() == []


def test_the_error_of_the_test_samples_stands_beside_the_tables(tmp_path):
    """Six clients of twenty samples each; an accuracy near 50 % has sqrt(.25 / 120), a bit less between clients."""
    folder = full_folder(tmp_path / "suite", seeds=2)
    publish(folder, ("md", "tex"))
    for name in ("md", "tex"):
        text = (folder / f"leaderboard.{name}").read_text(encoding="utf-8")
        assert "given this one data set. The test samples alone leave a run's accuracy a standard error of 4." in text
    page = render(collect(folder))
    assert "test error" in page and "given this one data set" in page


def test_a_configuration_has_one_name_in_all_scenarios(tmp_path):
    runs = [record(scenario=s, config={"lr": 0.1}) for s in ("s-v1", "t-v1")]
    other = record(scenario="s-v1", config={"lr": 0.2}, accuracy=40.0)
    found = overall(
        read_runs(folder_with(tmp_path, *runs, other, *(record("local", scenario=s) for s in ("s-v1", "t-v1"))))
    )
    assert {row[0] for row in found.rows()} == {"fedavg (lr=0.1)", "local"}
    assert "fedavg (lr=0.2): in 1 of 2" in found.left_out
