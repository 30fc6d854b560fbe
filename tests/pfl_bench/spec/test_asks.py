"""What a scenario asks, in words, is for readers: no id, no hash and no comparison sees it."""

import pytest

from pfl_bench.errors import RequestError
from pfl_bench.spec.run import RunSpec, make_config
from pfl_bench.spec.scenario import read_scenario
from pfl_bench.spec.suite import builtin_suites, shipped_scenarios

SCENARIO = {
    "id": "own-v1", "dataset": "digits", "partition": {"rule": "iid"}, "clients": 4, "model": "mlp", "visits": 4,
    "local_steps": 2, "batch_size": 8, "eval_every": 2,
}  # fmt: skip


def test_words_are_no_part_of_the_identity():
    plain, told = (read_scenario({**SCENARIO, **more}, "test") for more in ({}, {"asks": "Nothing much."}))
    assert told.asks == "Nothing much." and plain.asks == ""
    assert told.identity() == plain.identity()
    config = make_config("local", {}, "test")
    assert RunSpec("local", config, told, 0).id == RunSpec("local", config, plain, 0).id
    assert told.scaled(0.5).asks == told.asks


def test_words_are_bounded():
    with pytest.raises(RequestError, match="asks"):
        read_scenario({**SCENARIO, "asks": "x" * 401}, "test")


def test_shipped_scenarios_are_those_of_all_suites():
    assert len(shipped_scenarios()) == sum(len(suite.scenarios) for suite in builtin_suites().values())


def test_list_shows_them(cli):
    status, out, error = cli("list", "scenarios")
    assert status == 0, error
    assert all(scenario.asks in " ".join(out.split()) for scenario in shipped_scenarios() if scenario.asks)
