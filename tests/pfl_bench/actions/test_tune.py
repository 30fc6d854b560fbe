"""Tuning as it is asked for: several scenarios, plug-ins, and a fragment that a suite takes."""

import re
from contextlib import contextmanager

import pytest

from pfl_bench.actions.tune import _line, joined, prepare_tuning, run_tuning
from pfl_bench.actions.tune_request import TuneRequest, resolve_tuning
from pfl_bench.errors import RequestError
from pfl_bench.registry import METHODS
from pfl_bench.results.files import write_text
from pfl_bench.results.ledger import Ledger
from pfl_bench.running.tuning.choice import Choice
from pfl_bench.running.tuning.grid import at_edge
from pfl_bench.spec.suite import parse_suite
from tests.pfl_bench.cli.tiny import FEDMEDIAN, SUITE

FIRST = SUITE[SUITE.index("[[scenario]]") :]
SECOND = FIRST.replace("classes2-n6-v1", "classes2-n6-v2").replace("visits = 20", "visits = 10")
TEXT = SUITE + SECOND + "[search_space]\nfedavg = { lr = [1e-9, 0.1] }\n"


@pytest.fixture
def tune(tmp_path):
    (tmp_path / "s.toml").write_text(TEXT)

    def ask(**more):
        own = {"suites": (str(tmp_path / "s.toml"),), "trials": 3, "seeds": "1000", "executor": "serial"}
        request = TuneRequest(**{**own, "out": tmp_path, **more})
        prepared = prepare_tuning(request, *resolve_tuning(request))
        return joined([run_tuning(each) for each in prepared], prepared)

    return ask


def test_several_scenarios_and_a_plug_in_s_method_give_a_fragment_for_each(tune, tmp_path):
    text = TEXT + "fedmedian = { lr = [0.01, 0.05, 0.1] }\n"
    (tmp_path / "s.toml").write_text(text)
    tuning = tune(
        methods="fedavg,fedmedian", scenarios="synthetic*", plugins=(tmp_path / FEDMEDIAN,), budget_scale=0.5, trials=1
    )
    assert not tuning.absent and len(tuning.choices) == 4 and tuning.choices["scenario"].nunique() == 2
    assert tuning.choices["scenario"].str.endswith("@0.5x").all()
    pasted = parse_suite(text + (tmp_path / "tiny-tuning" / "tuned.toml").read_text(), "pasted")
    for scenario in pasted.scenarios:
        for edition in (scenario, scenario.scaled(0.5).at_precision("bf16")):
            assert pasted.hyperparameters_of("fedmedian", edition.id).keys() == {"lr"}
    assert not pasted.hyperparameters


def test_several_suites_are_tuned_each_on_its_own(tune, tmp_path):
    other = TEXT.replace('"tiny"', '"other"').replace("synthetic-classes2", "other-classes2")
    (tmp_path / "other.toml").write_text(other.replace("[1e-9, 0.1]", "[0.1]"))
    files = tuple(str(tmp_path / name) for name in ("s.toml", "other.toml"))
    tuning = tune(suites=files, methods="fedavg", trials=1)
    assert tuning.choices[["suite", "scenario"]].to_numpy().tolist() == [
        ["tiny", "synthetic-classes2-n6-v1"], ["other", "other-classes2-n6-v1"]
    ]  # fmt: skip
    assert set(tuning.trials["suite"]) == {"tiny", "other"} and tuning.complete
    first, second = tuning.toml.split("# For the suite other:\n")
    for text, fragment in ((TEXT, first), (other, second)):
        (chosen,) = parse_suite(text + fragment, "pasted").hyperparameters_at.values()
        assert chosen["fedavg"].keys() == {"lr"}
    one = tune(suites=files, methods="fedavg", trials=1, scenarios="other*v2")
    assert one.choices["scenario"].tolist() == ["other-classes2-n6-v2"], "a suite without a match is left out"


@pytest.mark.parametrize(
    ("suites", "more", "said"),
    [(("s.toml", "./s.toml"), {}, "several suites are called 'tiny'"), (("s.toml", "quik"), {}, "unknown suite 'quik'"),
     (("s.toml", "quick"), {"scenarios": "nothing*"}, "unknown scenario 'nothing*'"), ((), {}, "name a suite")],
)  # fmt: skip
def test_wrong_suites(tune, tmp_path, monkeypatch, suites, more, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RequestError, match=re.escape(said)):
        tune(suites=suites, **more)
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_the_first_scenario_of_a_suite_with_more_is_tuned_for_itself(tune):
    toml = tune(methods="fedavg", trials=1).toml
    assert toml.startswith('[hyperparameters_at."synthetic-classes2-n6-v1"]') and toml.count("[") == 1


def test_a_choice_that_is_at_its_edge_in_the_end_is_marked(tune, tmp_path, monkeypatch):
    monkeypatch.setattr("pfl_bench.running.tuning.trials.WIDENINGS", 0)
    (tmp_path / "s.toml").write_text(TEXT.replace("[1e-9, 0.1]", "[1e-9, 1e-8]"))
    tuning = tune(methods="fedavg")
    (line,) = tuning.edges
    assert line == "At the edge of its grid on synthetic-classes2-n6-v1: fedavg, lr = 0.005 of 1e-09, 1e-08, 0.005"
    assert "; at the edge of its grid: lr" in tuning.toml and tuning.choices["edges"][0] == "lr"


def test_texts_are_written_as_toml_has_them(tune, tmp_path):
    (tmp_path / "s.toml").write_text(TEXT + 'fedalt = { personal = ["last"] }\n')
    assert 'fedalt = { personal = "last" }' in tune(methods="fedalt", trials=1).toml


@pytest.mark.parametrize(
    ("point", "grid", "edges"),
    [
        ({"lr": 0.1, "mu": 1}, {"lr": [0.01, 0.1], "mu": [0, 1, 2]}, ["lr"]),
        ({"lr": 0.005}, {"lr": [0.01, 0.1]}, ["lr"]),
        ({"kind": "a"}, {"kind": ["a", "b"]}, []),
        ({"lr": 0.1}, {"lr": [0.1]}, []),
        ({"flag": True}, {"flag": [True, False]}, []),
    ],
)
def test_edges(point, grid, edges):
    assert at_edge(point, grid) == edges


def test_nobody_tunes_on_what_is_held_out(tune, tmp_path):
    (tmp_path / "s.toml").write_text('held_out = ["synthetic-classes2-n6-v2"]\n' + TEXT)
    with pytest.raises(RequestError, match="synthetic-classes2-n6-v2 is held out, and nobody tunes on it"):
        tune(methods="fedavg", scenarios="synthetic*", trials=1)
    for edition in ({"budget_scale": 0.5}, {"precision": "bf16"}):
        with pytest.raises(RequestError, match="is held out"):
            tune(methods="fedavg", scenarios="*-v2", trials=1, **edition)
    assert len(tune(methods="fedavg", scenarios="*-v1", trials=1).choices) == 1


def test_without_scenarios_the_first_that_is_not_held_out_is_tuned(tune, tmp_path):
    (tmp_path / "s.toml").write_text('held_out = ["synthetic-classes2-n6-v1"]\n' + TEXT)
    assert tune(methods="fedavg", trials=1).choices["scenario"].tolist() == ["synthetic-classes2-n6-v2"]


def test_what_one_suite_holds_out_is_not_tuned_as_another_s(tune, tmp_path):
    other = TEXT.replace('"tiny"', '"other"')
    (tmp_path / "other.toml").write_text('held_out = ["synthetic-classes2-n6-v2"]\n' + other)
    with pytest.raises(RequestError, match="synthetic-classes2-n6-v2 is held out"):
        tune(suites=(str(tmp_path / "s.toml"), str(tmp_path / "other.toml")), methods="fedavg", scenarios="*-v2")


def test_a_choice_is_for_its_scenario_alone(tune, tmp_path):
    """The second scenario's id begins with the first one's."""
    text = TEXT.replace("classes2-n6-v2", "classes2-n6-v10")
    (tmp_path / "s.toml").write_text(text)
    tune(methods="fedavg", scenarios="*-v1")
    pasted = parse_suite(text + (tmp_path / "tiny-tuning" / "tuned.toml").read_text(), "pasted")
    first, second = (pasted.hyperparameters_of("fedavg", scenario.id) for scenario in pasted.scenarios)
    assert first and not second


@pytest.mark.parametrize(
    ("grid", "said"),
    [({"lr": 0.1}, "search_space of fedavg: lr=0.1 must be a list of values"), (["lr"], "must be a table of lists"),
     ({"lr": "fast"}, "lr='fast' must be a list of values"), ({"lr": [None, 0.1]}, "must not have None")],
)  # fmt: skip
def test_a_method_s_grid_that_is_none(tune, tmp_path, monkeypatch, grid, said):
    monkeypatch.setattr(METHODS.get("fedavg"), "search_space", grid)
    with pytest.raises(RequestError, match=re.escape(said)):
        tune(methods="fedavg")
    assert [path.name for path in tmp_path.iterdir()] == ["s.toml"]


def test_a_choice_of_none_where_that_is_the_default_is_left_out():
    assert _line("own", Choice({"lr": 0.1, "share": None}, 50.0), {"lr": [0.1], "share": [None, 0.5]}) == (
        "own = { lr = 0.1 }  # 50.00 % on validation"
    )


def test_choices_are_written_under_the_lock(tune, monkeypatch):
    locked = []
    real = Ledger.lock

    @contextmanager
    def lock(ledger, *patience):
        with real(ledger, *patience):
            locked.append(True)
            yield
            locked.pop()

    def write(place, text):
        assert locked
        return write_text(place, text)

    monkeypatch.setattr(Ledger, "lock", lock)
    monkeypatch.setattr("pfl_bench.actions.tune.write_text", write)
    tune(methods="fedavg", trials=1)
