"""Results that are not what they say are found out."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from pfl_bench.registry import load_plugins
from pfl_bench.results.frame import run_names
from pfl_bench.results.record import read_record
from pfl_bench.running.again import compute_again, request_of
from pfl_bench.spec.suite import load_suite
from pfl_bench.testing import CHECKS, submission
from pfl_bench.testing.submission import examine_results, over_budget
from tests.pfl_bench.cli.tiny import FEDMEDIAN, SUITE
from tests.test_published import SUITES


@pytest.fixture(scope="module")
def computed(tmp_path_factory):
    """A suite's folder with three runs: of a shipped method in lock-step, and of a plug-in's."""
    folder = tmp_path_factory.mktemp("submission")
    (folder / "s.toml").write_text(SUITE.replace('"fedavg,fedper"', '"fedavg,fedmedian"'))
    words = ["run", "--suite", str(folder / "s.toml"), "--out", str(folder), "--executor", "serial"]
    subprocess.run([sys.executable, "-m", "pfl_bench", *words, "--plugin", FEDMEDIAN], check=True, capture_output=True)
    return folder / "tiny"


@pytest.fixture
def folder(computed, tmp_path):
    for path in shutil.copytree(computed, tmp_path / "tiny").glob("runs/*/run.json"):
        document = json.loads(path.read_text())
        path.write_text(json.dumps({**document, "git_commit": "c0ffee"}))
    return tmp_path / "tiny"


@pytest.fixture(autouse=True)
def one_check(monkeypatch):
    """The kit is tested elsewhere."""
    monkeypatch.setattr(submission, "CHECKS", CHECKS[:1])


def wrong(folder, recompute=0, plugins=(FEDMEDIAN,)):
    loaded = load_plugins(plugins)
    return {f.what: f.wrong for f in examine_results(folder, recompute, folder, loaded) if f.wrong}


def record_of(folder, method):
    return read_record(next(path for path in sorted((folder / "runs").iterdir()) if path.name.startswith(method)))


def test_honest_results_pass_and_are_computed_again(folder, cli):
    assert wrong(folder, recompute=4) == {}
    status, out, _ = cli("results", "validate", str(folder), "--plugin", FEDMEDIAN, "--recompute", "0")
    assert status == 0 and "fedmedian passes the conformance kit" in out and "nothing is wrong" in out


def test_without_its_plugin_a_method_cannot_be_examined(folder, cli):
    status, out, _ = cli("results", "validate", str(folder), "--recompute", "0")
    assert status == 1 and "FAILED fedmedian passes the conformance kit: it is not the package's" in out


def test_a_changed_number_is_found_by_its_tables_or_by_computing_again(folder):
    place = folder / "runs" / record_of(folder, "fedavg").id
    document = json.loads((place / "run.json").read_text())
    document["summary"]["global"]["best"]["accuracy"] += 1
    (place / "run.json").write_text(json.dumps(document))
    assert "every run's id, hashes and scores agree with each other" in wrong(folder)


def test_a_run_that_is_wrong_throughout_is_found_by_computing_again(folder):
    record = record_of(folder, "fedavg")
    place = folder / "runs" / record.id
    text = (place / "clients.csv").read_text()
    (place / "clients.csv").write_text(text.replace("global,last,0", "global,last,1", 1))
    again = compute_again(record, folder, folder, ())
    assert not again.same and again.why == "client of client 1 is 0, recorded is 1"


@pytest.mark.parametrize(("times", "same"), [(1 + 1e-6, True), (1 + 1e-3, False)])
def test_a_loss_that_another_processor_rounds_otherwise_is_the_same_and_said(folder, times, same):
    record = record_of(folder, "fedavg")
    best = dict(record.summary["global"].best)
    there = replace(record.summary["global"], best={**best, "loss": best["loss"] * times})
    again = compute_again(replace(record, summary={"global": there}), folder, folder, ())
    said = "global.best.loss is "
    assert (again.same, said in again.rounding, said in again.why) == (same, same, not same)


def test_other_data_or_code_is_no_repetition(folder):
    record = record_of(folder, "fedavg")
    place = folder / "runs" / record.id / "run.json"
    document = json.loads(place.read_text())
    place.write_text(json.dumps({**document, "data_sha256": "0" * 64}))
    assert "the data changed since" in compute_again(record_of(folder, "fedavg"), folder, folder, ()).why


def test_other_files_data_or_splits_are_said_without_computing(folder):
    record, other = record_of(folder, "fedavg"), record_of(folder, "fedmedian")
    place = folder / "runs" / record.id / "run.json"
    document = json.loads(place.read_text())
    files = document["sources"] | {"method:methods/fedavg.py": "0" * 64}
    place.write_text(json.dumps({**document, "sources": files, "data_sha256": "0" * 64, "partition_sha256": "1" * 64}))
    found = wrong(folder)
    divided = found["runs of one scenario and seed have the same data and split"]
    assert "the data of" in divided and "the split of" in divided and record.id in divided and other.id in divided
    assert "methods/fedavg.py" in found["runs were computed by the files that are here"]


def test_what_is_unfinished_dirty_or_over_budget_is_said(folder):
    record = record_of(folder, "fedavg")
    place = folder / "runs" / record.id / "run.json"
    document = json.loads(place.read_text())
    steps = document["costs"]["local_steps"]
    document |= {"git_commit": "abc+dirty", "costs": {**document["costs"], "local_steps": 10**6}}
    place.write_text(json.dumps(document))
    believed = "every run's id, hashes and scores agree with each other"
    assert "costs.local_steps is 1000000 in run.json" in wrong(folder)[believed]
    history = place.with_name("history.csv")
    history.write_text(history.read_text().replace(f",{steps},", ",1000000,"))
    found = wrong(folder)
    assert found["runs come from a clean commit"] == "commit abc+dirty"
    assert "1000000 mini-batch gradients of 200" in found["no run spent more than its budget"]
    assert over_budget([record]) == []


def test_a_scenario_that_is_not_the_suite_s_is_said(folder):
    renamed = folder.rename(folder.parent / "quick")
    found = wrong(renamed)
    assert "is not in it" in found["scenarios are those of the suite"]


def test_a_part_of_a_board_s_runs_is_not_taken_for_a_submission(folder, cli, monkeypatch):
    monkeypatch.setattr(submission, "builtin_suites", lambda: {"tiny": load_suite(str(folder.parent / "s.toml"))})
    (folder.parent / "s.toml").write_text(SUITE)
    told = {f.what: (f.told, f.partial) for f in examine_results(folder, 0, folder, load_plugins((FEDMEDIAN,)))}
    assert told["every method has all runs of the board"] == ("", False)
    (folder.parent / "s.toml").write_text(SUITE.replace('seeds = "0-1"', 'seeds = "0-2"'))
    status, out, _ = cli("results", "validate", str(folder), "--plugin", FEDMEDIAN, "--recompute", "0")
    assert status == 0 and "no run of" in out and "nothing is wrong, but it is no whole submission" in out


@pytest.mark.parametrize("folder", SUITES, ids=lambda folder: folder.name)
def test_what_published_runs_were_asked_for_can_be_told_from_their_records(folder):
    for name in run_names(folder / "runs")[::7]:
        record = read_record(folder / "runs" / name)
        assert request_of(record).id == name
