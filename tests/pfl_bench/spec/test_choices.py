"""``run --tuned``: hyper-parameters by scenario from a file, in place of the suite's."""

import json

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.spec.choices import read_choices
from pfl_bench.spec.run import check_choices, plan_runs
from pfl_bench.spec.suite import parse_suite
from pfl_bench.spec.tuned import origin_of, untuned
from tests.pfl_bench.cli.tiny import SUITE, assert_refused

FIRST = "synthetic-classes2-n6-v1"
TWO = SUITE + SUITE[SUITE.index("[[scenario]]") :].replace(FIRST, "other-v1")
TUNED = (
    '[hyperparameters]\nfedavg = { lr = 0.2 }\n[hyperparameters_at."other-v1"]\nfedavg = { lr = 0.3, momentum = 0.5 }\n'
)


@pytest.fixture
def tuned(tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(TUNED)
    return path


def test_choices_come_after_the_suite_s_and_before_what_is_typed(tuned):
    suite = parse_suite(TWO + "[hyperparameters]\nfedavg = { lr = 0.1, weight_decay = 0.5 }\n", "s")
    choices = [read_choices(tuned, suite, ["fedavg", "local"], METHODS.names())]
    for typed, rates in (({}, [0.2, 0.3]), ({"fedavg": {"lr": 0.9}}, [0.9, 0.9])):
        runs = plan_runs(["fedavg"], suite.scenarios, [0], suite, typed, choices)
        assert [run.config.lr for run in runs] == rates
        assert [run.config.momentum for run in runs][1] == 0.5
        assert {run.config.weight_decay for run in runs} == {0.5}
    assert origin_of(suite, "fedavg", "other-v1", {}, choices) == "request"
    assert origin_of(suite, "local", "other-v1", {}, choices) == "defaults"
    assert untuned(parse_suite(TWO, "s"), ["fedavg"], suite.scenarios, {}, choices) == []


def test_of_several_files_the_last_one_wins(tuned, tmp_path):
    later = tmp_path / "transferred.toml"
    later.write_text('[hyperparameters_at."oth*"]\nfedavg = { lr = 0.7 }\n')
    suite = parse_suite(TWO, "s")
    choices = [read_choices(path, suite, ["fedavg"], METHODS.names()) for path in (tuned, later)]
    runs = plan_runs(["fedavg"], suite.scenarios, [0], suite, {}, choices)
    assert [run.config.lr for run in runs] == [0.2, 0.7] and runs[1].config.momentum == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not TOML"),
        ("fedavg = { lr = 0.2 }", "'fedavg' is no part of such a file"),
        ("hyperparameters = 3", "hyperparameters=3 is of the wrong type"),
        ("[hyperparameters]\nfedavg = 3", "hyperparameters.fedavg=3 must be a table of hyper-parameters"),
        ('[hyperparameters_at."no-*"]\nfedavg = { lr = 0.2 }', "scenario in --tuned"),
        ("[hyperparameters]\nfedavgg = { lr = 0.2 }", "method in --tuned"),
        ("[hyperparameters]\nditto = { lr = 0.2 }", "has nothing for the methods that take part (fedavg)"),
        ("", "has nothing for the methods that take part (fedavg)"),
    ],
)
def test_a_file_that_says_nothing_of_the_suite_is_refused(text, said, tmp_path):
    path = tmp_path / "tuned.toml"
    path.write_text(text)
    with pytest.raises(RequestError) as raised:
        read_choices(path, parse_suite(SUITE, "s"), ["fedavg"], METHODS.names())
    assert said in str(raised.value) and str(path) in str(raised.value) and "\n" not in str(raised.value)


def test_a_value_that_the_method_does_not_take_is_named_with_its_table(tuned):
    tuned.write_text(TUNED.replace("0.3", "-1"))
    suite = parse_suite(TWO, "s")
    with pytest.raises(RequestError, match=r"^--tuned: .*tuned\.toml: hyperparameters_at\.other-v1 fedavg\.lr=-1"):
        check_choices(read_choices(tuned, suite, ["fedavg"], METHODS.names()))


def test_what_tune_wrote_is_what_runs(cli, tmp_path):
    (tmp_path / "two.toml").write_text(TWO)
    words = ("two.toml", "--methods", "fedavg", "--scenarios", "*", "--executor", "serial")
    status, _, error = cli("tune", *words, "--trials", "2", "--seeds", "1000", "--budget-scale", "0.5")
    assert status == 0, error
    tuned = "results/tiny-tuning/tuned.toml"
    run = ("run", "--suite", "two.toml", "--methods", "fedavg", "--seeds", "0", "--executor", "serial")
    status, out, error = cli(*run, "--tuned", tuned)
    assert status == 0 and "Untuned" not in out, error
    suite = parse_suite(TWO, "s")
    choices = read_choices(tmp_path / tuned, suite, ["fedavg"], METHODS.names())
    records = [json.loads(path.read_text()) for path in (tmp_path / "results/tiny/runs").glob("*/run.json")]
    assert {r["scenario"]["id"]: r["config"]["lr"] for r in records} == {
        id: choices.of("fedavg", id)["lr"] for id in (FIRST, "other-v1")
    }
    assert {r["config_from"] for r in records} == {"request"}
    for name, said in (("none.toml", "there is no such file"), ("results", "")):
        assert_refused(cli, tmp_path, f"error: --tuned file '{name}' cannot be read: {said}", *run, "--tuned", name)
