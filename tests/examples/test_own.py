"""The examples that are files to begin with: they pass the kits in full, and say what they do."""

import runpy
import tomllib
from pathlib import Path

from pfl_bench.registry import load_plugins
from pfl_bench.results.cross_checks import contradictions
from pfl_bench.results.record import read_record
from pfl_bench.testing import CHECKS, MODEL_CHECKS, Context, ModelContext, examine
from pfl_bench.testing.as_asked import not_as_asked
from pfl_bench.testing.harness import Harness

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_method_is_a_fair_entrant():
    """But for a worker of Ray's, which the kit's own tests have."""
    loaded = load_plugins([EXAMPLES / "own_method.py"])
    here = [check for check in CHECKS if check.title != "serial = Ray, bitwise"]
    assert len(here) == len(CHECKS) - 1
    complaints = [(check.title, said) for check, said in examine(here, "halfway", Context(("halfway",), loaded))]
    assert [own for own in complaints if own[1] is not None] == []


def test_the_method_without_own_models_is_fedavg():
    load_plugins([EXAMPLES / "own_method.py"])
    known = Harness("fedavg", rounds=2, lr=0.1).server
    for share, same in ((0.0, True), (0.5, False)):
        served = Harness("halfway", rounds=2, share=share, lr=0.1).received
        assert all(bool((served[name] == known[name]).all()) for name in served) == same


def test_the_model_is_sound():
    load_plugins([EXAMPLES / "own_model.py"])
    found = [(check.title, said) for check, said in examine(MODEL_CHECKS, "gated", ModelContext())]
    assert found and [own for own in found if own[1] is not None] == []


def test_the_data_are_what_the_suite_names(cli):
    suite = tomllib.loads((EXAMPLES / "own_suite.toml").read_text(encoding="utf-8"))
    (name,) = {scenario["dataset"] for scenario in suite["scenario"]}
    status, out, error = cli("data", "verify", name, "--plugin", str(EXAMPLES / "own_data.py"))
    assert status == 0 and "series of shape (2, 32), 3 classes, 8 groups" in out, error


def test_the_python_example_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    spoken = runpy.run_path(str(EXAMPLES / "python_api.py"))
    assert len(spoken["board"]) == 2 and len(spoken["curve"]) == 3 and len(spoken["published"]) > 40
    assert "of the clients gain" in capsys.readouterr().out


def test_the_suite_runs_from_anywhere_and_its_runs_agree_with_themselves(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    plugins = [word for name in ("method", "data", "model") for word in ("--plugin", str(EXAMPLES / f"own_{name}.py"))]
    few = ("--seeds", "0", "--budget-scale", "0.2", "--methods", "fedper,halfway", "--scenarios", "*dealt*")
    words = ("--suite", str(EXAMPLES / "own_suite.toml"), *few, "--executor", "serial", "--in-process")
    status, out, error = cli("run", *words, *plugins)
    assert status == 0 and "halfway" in out, error
    suite = tmp_path / "results" / "machines"
    records = [read_record(place) for place in sorted((suite / "runs").iterdir())]
    assert len(records) == 3 and [said for one in records for said in contradictions(suite, one)] == []
    assert list(not_as_asked(suite, records, load_plugins([EXAMPLES / "own_data.py"]))) == []
