import json

import pytest

from pfl_bench.results.record import Record, Unreadable, find_record, read_record
from tests.ledgers import folder_with, record

DOCUMENT = {"schema": 1, **record()}


def without(name):
    return {key: value for key, value in DOCUMENT.items() if key != name}


def test_a_record_says_what_was_asked_and_what_came_of_it(tmp_path):
    sources = {"method": "ab", "model": "cd"}
    folder = folder_with(tmp_path, record("ditto", 3, sources=sources, hardware={"cpu": "x"}, data_sha256="ef"))
    (name,) = (path.name for path in (folder / "runs").iterdir())
    found = read_record(folder / "runs" / name)
    assert (found.id, found.method, found.seed, found.status, found.final) == (name, "ditto", 3, "finished", True)
    assert (found.scenario_id, found.visits, found.local_steps, found.budget_scale) == ("sc-v1", 100, 5, 0.1)
    assert (
        found.moment == "global" and found.official.best["accuracy"] == 50.0 and found.official.last["accuracy"] == 49
    )
    assert found.at("adapted").best == {} and found.at(None).last == {}
    assert found.sources == sources and found.data_sha256 == "ef" and found.hardware == {"cpu": "x"}
    assert found.costs["bytes_up"] == 1_000_000 and found.peak_memory_bytes == 10


def test_older_runs_say_less_and_later_ones_more():
    found = Record.parse("r", {**DOCUMENT, "phases": {"init": [1]}, "note": 3})
    assert found.sources == {} and found.versions == {} and found.backend is None and found.client_model_size is None
    failed = Record.parse("r", {**record(status="failed"), "schema": 1, "costs": None, "summary": None})
    assert failed.official.best == {} and failed.costs == {} and not failed.final


@pytest.mark.parametrize(
    ("document", "why"),
    [
        ([], "run.json has schema None; this version reads 1"),
        ({**DOCUMENT, "schema": 2}, "run.json has schema 2; this version reads 1"),
        (without("scenario"), "run.json lacks the field 'scenario'"),
        (without("seed"), "run.json lacks the field 'seed'"),
        ({**DOCUMENT, "scenario": {"id": "x"}}, "run.json lacks the field 'visits'"),
        ({**DOCUMENT, "scenario": "x"}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "seed": None}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "seed": "one"}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "costs": "none"}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "summary": {"global": 3}}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "sources": ["x"]}, "run.json has a field of the wrong type"),
        ({**DOCUMENT, "partition_sha256": 5}, "run.json has a field of the wrong type"),
        (
            {**DOCUMENT, "status": "won"},
            "its status 'won' is none of finished, failed, diverged, skipped, unfinished",
        ),
        ({**DOCUMENT, "summary": {}}, "it is finished but has no accuracy"),
        ({**DOCUMENT, "summary": {"global": {"best": {"accuracy": None}}}}, "it is finished but has no accuracy"),
    ],
)
def test_what_cannot_be_used_says_why(document, why):
    with pytest.raises(Unreadable) as error:
        Record.parse("r", document)
    assert str(error.value) == why


@pytest.mark.parametrize("text", [None, "", '{"schema": 1, "sta', "[" * 100_000])
def test_damaged_files_have_no_record(tmp_path, text):
    if text is not None:
        (tmp_path / "run.json").write_text(text)
    assert find_record(tmp_path) is None
    with pytest.raises(Unreadable, match="there is no run.json" if text is None else "is not JSON, or was cut off"):
        read_record(tmp_path)


def test_scenarios_of_one_id_are_told_apart_by_their_content():
    one = Record.parse("r", DOCUMENT)
    other = Record.parse("r", json.loads(json.dumps(DOCUMENT).replace('"local_steps": 5', '"local_steps": 6')))
    assert one.scenario_id == other.scenario_id and one.scenario_hash != other.scenario_hash
