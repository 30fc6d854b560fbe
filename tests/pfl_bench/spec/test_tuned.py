"""Who chose the hyper-parameters of an entry, and what is said where nobody did."""

import json

import pytest

from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from pfl_bench.results.notes import untuned as in_a_table
from pfl_bench.spec.suite import builtin_suites, load_suite, parse_suite
from pfl_bench.spec.tuned import dropped, origin_of, untuned
from tests.ledgers import folder_with, record
from tests.pfl_bench.cli.tiny import SUITE

TUNED = SUITE + "[hyperparameters]\nfedavg = { lr = 0.1 }\n[variants]\npfedhn = [{ hidden = 50 }]\n"


@pytest.mark.parametrize(
    ("method", "overrides", "origin"),
    [
        ("fedavg", {}, "suite"),
        ("pfedhn", {}, "suite"),
        ("local", {}, "defaults"),
        ("local", {"local": {"lr": 1}}, "request"),
    ],
)
def test_origins(method, overrides, origin):
    suite = parse_suite(TUNED, "s")
    assert origin_of(suite, method, suite.scenarios[0].id, overrides) == origin


def test_what_is_untuned_is_said_by_scenario():
    suite = parse_suite(TUNED, "s")
    (line,) = untuned(suite, ["fedavg", "local"], suite.scenarios, {})
    assert line.startswith(f"Untuned on {suite.scenarios[0].id}: local with default") and "beside" in line
    assert untuned(suite, ["fedavg", "pfedhn"], suite.scenarios, {}) == []
    (all_,) = untuned(suite, ["local"], suite.scenarios, {})
    assert "beside" not in all_


def test_a_suite_s_choices_that_are_left_out_are_named():
    quick = load_suite("quick")
    half = quick.scenarios[0].scaled(0.5)
    (line,) = dropped([half], ["fedavg", "local"], list(builtin_suites().values()))
    assert "what the suite quick has chosen for fedavg, local" in line and "--suite quick" in line
    assert dropped([half], ["fedavg"], []) == []


def test_run_says_so_before_it_runs_and_the_record_and_the_table_keep_it(cli, tmp_path):
    words = ("run", "--methods", "fedavg,local", "--seeds", "0", "--budget-scale", "0.1", "--executor", "serial")
    status, out, _ = cli(*words, "--scenarios", "digits-classes2*", "--set", "local.lr=0.1")
    assert status == 0 and "--suite quick" in out.replace("\n", " ") and "Untuned on digits" in out
    table = (tmp_path / "results" / "adhoc" / "leaderboard.csv").read_text()
    assert "config_from" in table.partition("\n")[0] and "request" in table and "defaults" in table
    assert "Untuned, with a method's default hyper-parameters: fedavg" in out
    status, out, _ = cli(*words)
    assert status == 0 and "Untuned" not in out
    (path,) = (tmp_path / "results" / "quick" / "runs").glob("fedavg-*/run.json")
    assert json.loads(path.read_text())["config_from"] == "suite"


def test_a_table_of_runs_that_do_not_say_says_nothing(tmp_path):
    table = leaderboard(read_runs(folder_with(tmp_path, record(), record("local", config_from="defaults"))))
    assert in_a_table(table) == ["Untuned, with a method's default hyper-parameters: local"]
    assert in_a_table(table.drop(columns="config_from")) == []
