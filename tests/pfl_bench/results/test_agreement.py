"""What a folder of results is believed. The published ones must be, in full: tests/test_published.py."""

import json
import os
import shutil
from pathlib import Path

import pytest

from pfl_bench.results.frame import scan_runs
from pfl_bench.results.ledger import Ledger
from pfl_bench.results.record import Unreadable, find_record, read_record
from tests.ledgers import client_rows, history_rows, id_of, record, save

CORRECT = [10, 12, 14]
ACCURACY = 60.0


def finished(**changes) -> dict:
    """A run whose tables say the same: the last evaluation was the best."""
    run = record(accuracy=ACCURACY, **changes)
    run["summary"]["global"]["best"] |= {"visits": 100, "validation_accuracy": ACCURACY}
    return run


@pytest.fixture
def run(tmp_path) -> Path:
    ledger = Ledger(tmp_path / "suite")
    with ledger.lock():
        tables = {"clients": client_rows(CORRECT)}
        return save(ledger, finished(), history=history_rows(ACCURACY), tables=tables)


def edit(run: Path, *path: str, to: object) -> None:
    document = json.loads((run / "run.json").read_text())
    inner = document
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    (run / "run.json").write_text(json.dumps(document))


def refused(run: Path) -> str:
    """Why a run is left out: by every reader, for none has another way to its record."""
    with pytest.raises(Unreadable) as error:
        read_record(run)
    assert find_record(run) is None and len(str(error.value)) < 400
    runs, (problem,) = scan_runs(run.parents[1])
    assert runs.empty and problem.where == f"runs/{run.name}" and problem.why == str(error.value)
    return problem.why


def test_a_run_that_agrees_with_itself_is_believed(run):
    assert read_record(run).official.best["accuracy"] == ACCURACY


@pytest.mark.parametrize("name", ["history.csv", "clients.csv"])
def test_scores_without_the_tables_that_they_came_with_are_not_believed(run, name):
    (run / name).unlink()
    with pytest.raises(Unreadable, match=f"there is no {name} in it"):
        read_record(run)


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        (("seed",), 1, "what it says of itself is the run fedavg-s1-"),
        (("scenario", "visits"), 1000, "what it says of itself is the run fedavg-s0-"),
        (("scenario", "id"), "other-v1", "edited, or copied"),
        (("config", "lr"), 0.5, "is not that of its configuration"),
        (("config_hash",), "0" * 12, "config_hash '000000000000' is not that of its configuration"),
        (("config_hash",), ["a"], "wrong type"),
        (("method",), "local", "is not that of its configuration"),
        (("method",), "=cmd()", "'=cmd()' is no name of a method"),
        (("scenario", "id"), "x\x1b]0;y", "is no name of a scenario"),
        (("id",), "fedavg-s0-000000000000", "a copy, or renamed"),
        (("summary", "global", "best", "accuracy"), 250.0, "global.best.accuracy=250 is no percentage"),
        (("summary", "global", "last", "accuracy"), -1, "global.last.accuracy=-1 is no percentage"),
        (("summary", "global", "best", "accuracy"), 61.0, "is 61.0 in run.json and '60.0' in history.csv"),
        (("summary", "global", "best", "validation_accuracy"), 61.0, "in history.csv"),
        (("summary", "global", "best", "visits"), 90, "history.csv lacks the test of global.best, at 90 visits"),
        (("summary", "global", "best", "accuracy"), True, "wrong type"),
        (("versions",), {"torch": {}}, "wrong type"),
        (("hardware",), {"gpu": ["a"]}, "wrong type"),
        (("costs",), {"samples": "many"}, "wrong type"),
        (("costs",), {"samples": -1}, "wrong type"),
        (("seed",), 1.5, "what it says of itself is the run fedavg-s1.5-"),
    ],
)
def test_a_run_that_contradicts_itself_is_left_out(run, path, value, why):
    edit(run, *path, to=value)
    assert why in refused(run)


def test_a_copy_counts_no_seed_again(run):
    """Neither renamed, nor with its own id changed, nor with another seed and whatever name."""
    names = ["copy", "fedavg-s1-0123456789ab", f"{run.name} (2)"]
    for name in names:
        copy = shutil.copytree(run, run.with_name(name))
        edit(copy, "id", to=name)
        edit(copy, "seed", to=1)
    shutil.copytree(run, run.with_name("as-it-was"))
    runs, problems = scan_runs(run.parents[1])
    assert runs["run_id"].tolist() == [run.name]
    assert {problem.where for problem in problems} == {f"runs/{name}" for name in (*names, "as-it-was")}


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("history.csv", lambda text: text[:-30], "history.csv was cut off"),
        ("history.csv", lambda text: text[: text.index("\n100,") + 1], "history.csv lacks the test of global.best"),
        ("history.csv", lambda text: "", "history.csv is no table"),
        ("history.csv", lambda text: text.replace("split", "part"), "history.csv lacks the column split"),
        ("history.csv", lambda text: text + "1,2\n", "history.csv has rows that do not fit its header"),
        ("clients.csv", lambda text: text[:-1].rpartition("\n")[0] + "\n", "60.0 in run.json and 55 by clients.csv"),
        ("clients.csv", lambda text: text.replace(",14,", ",41,"), "clients.csv has 41 correct of 20 samples"),
        ("clients.csv", lambda text: text.replace(",14,", ",x,"), "clients.csv has a count that is no number"),
        ("clients.csv", lambda text: text.replace("best", "last"), "60.0 in run.json and nan by clients.csv"),
    ],
)
def test_tables_that_say_something_else_or_are_damaged(run, name, change, why):
    (run / name).write_text(change((run / name).read_text()))
    assert why in refused(run)


def nested(levels: int) -> str:
    return json.dumps({"schema": 1, "config": 0}).replace(": 0", f": {'[' * levels}{']' * levels}")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (nested(400), "nested deeper than 40 levels"),
        (nested(100_000), "not JSON, or was cut off"),
        ('{"schema": 1, "seed": NaN}', "not JSON"),
        ('{"schema": 1, "seed": Infinity}', "not JSON"),
        ("[" + "9" * 10_000 + "]", "not JSON"),
        ('{"schema": "' + "9" * 10_000 + '"}', "this version reads 1"),
        (b"\xff\xfe", "cannot be read as text"),
        (b" " * (2**23 + 1), "run.json is larger than 8 MiB"),
    ],
)
def test_files_that_would_break_a_reader(run, text, why):
    (run / "run.json").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert why in refused(run)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs pipes and devices")
@pytest.mark.parametrize("name", ["run.json", "history.csv", "clients.csv"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_never_ends_or_never_begins_is_not_read(run, name, kind):
    (run / name).unlink()
    if kind == "pipe":
        os.mkfifo(run / name)
    elif kind == "device":
        (run / name).symlink_to("/dev/zero")
    else:
        (run / name).mkdir()
    assert f"{name} is no regular file" in refused(run)


def test_texts_have_nothing_hidden_in_them_and_an_end(run):
    for name, text in (("reason", "a\x1b[31mb\u202ec\ud800" + "d" * 10_000), ("backend", "e\nf"), ("suite", "g\x07")):
        edit(run, name, to=text)
    found = read_record(run)
    assert found.reason.startswith(r"a\x1b[31mb\u202ec\ud800ddd") and len(found.reason) < 600
    assert (found.backend, found.suite) == (r"e\nf", r"g\x07")


def test_a_field_that_came_later_does_not_part_older_runs_from_their_hash(tmp_path):
    """They recorded the whole configuration; what was at its default was not hashed."""
    run = record("ditto", config={"lr": 0.1}, config_identity={"lr": 0.1})
    ledger = Ledger(tmp_path)
    with ledger.lock():
        place = save(ledger, {**run, "config": {"lr": 0.1, "later": 1}})
    assert read_record(place).config == {"lr": 0.1, "later": 1}
    edit(place, "config_identity", to=None)
    assert read_record(place).id == id_of(run)
    edit(place, "config", "lr", to=0.2)
    assert "is not that of its configuration" in refused(place)


def test_what_was_hashed_is_what_the_configuration_says(tmp_path):
    ledger = Ledger(tmp_path)
    with ledger.lock():
        place = save(ledger, record(config={"lr": 0.1}, config_identity={"lr": 0.1}))
    edit(place, "config", "lr", to=0.2)
    assert "is not that of its configuration" in refused(place)
