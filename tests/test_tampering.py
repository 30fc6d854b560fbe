"""A fixed slice of the edited cells; ``python -m tests.tampering`` makes as many as you like."""

import json
import random
import shutil

import pandas as pd
import pytest

from pfl_bench.results.cross_checks import UNNOTICED, contradictions
from pfl_bench.results.cross_checks.across import disagreements
from pfl_bench.results.cross_checks.costs import check_costs
from pfl_bench.results.cross_checks.sheets import Sheet
from pfl_bench.results.record import read_record
from tests.tampering import PUBLISHED, UNDECIDED, copied, examine, noticed, tamper

RUN = PUBLISHED / "quick" / "runs" / "apfl-s0-683ab8303ef9"
NOVEL = PUBLISHED / "hypernetworks" / "runs" / "fedavg_ft-s0-b1b349f57f99"


def test_an_edited_cell_is_noticed_where_others_decide_it():
    found = examine(48, seed=5)
    assert [kind for kind, by in found.items() if by["nothing"] and kind not in UNDECIDED] == []
    assert sum(by["validate"] for by in found.values()) > 16 and sum(by["reading"] for by in found.values()) > 4


def test_what_was_published_agrees(tmp_path):
    """Every run of every suite: tests/test_published.py."""
    for run in (RUN, NOVEL):
        assert noticed(copied(run, tmp_path / run.name), run.name) == ("", [])


def test_one_line_names_file_line_and_figure(tmp_path):
    kind, by, said = tamper(RUN, random.Random("one"), tmp_path)
    assert by and kind and all("\n" not in line and len(line) < 400 for line in said)


CELLS = [
    ("history.csv", 1, "visits", "31", "history.csv"),
    ("history.csv", 9, "round", "19", "history.csv, line"),
    ("history.csv", 5, "samples", "19201", "samples is 19201, and 19200 in other lines of this evaluation"),
    ("history.csv", 5, "accuracy", "50.1", "accuracy is 50.1, no whole number of"),
    ("history.csv", 5, "loss", "0.001", "loss is 0.001, less than the wrong predictions"),
    ("history.csv", 5, "client_mean", "101", "client_mean is 101, which is not between 0 and 100"),
    ("history.csv", 5, "client_std", "60", "client_std is 60, more than client_mean and client_min allow"),
    ("history.csv", 5, "client_min", "0.5", "client_min is 0.5, which no client can have of its samples"),
    ("history.csv", 5, "train_seconds", "-1", "train_seconds is -1, and"),
    ("history.csv", 5, "train_seconds", "soon", "train_seconds is 'soon', which is no number"),
    ("history.csv", 5, "moment", "adapted", "moment is 'adapted'; run.json has"),
    ("history.csv", 4, "split", "test", "twice"),
    ("clients.csv", 3, "train_samples", "41", "train_samples is 41, and"),
    ("clients.csv", 3, "client", "4", "client is 4 where 3 belongs"),
    ("clients.csv", 3, "test_accuracy", "12.5", "test_accuracy is 12.5, and"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "row", "column", "cell", "why"), CELLS, ids=lambda value: str(value)[:20])
def test_what_is_said_of_a_cell(tmp_path, table, row, column, cell, why):
    suite = copied(RUN, tmp_path)
    path = suite / "runs" / RUN.name / table
    lines = [line.split(",") for line in path.read_text().splitlines()]
    lines[row + 1][lines[0].index(column)] = cell
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    by, said = noticed(suite, RUN.name)
    assert by and any(why in line for line in said), said


def test_costs_that_were_raised_for_a_whole_evaluation_leave_their_line(tmp_path):
    suite = copied(RUN, tmp_path)
    path = suite / "runs" / RUN.name / "history.csv"
    lines = [line.split(",") for line in path.read_text().splitlines()]
    for line in lines:
        if line[0] == "150":
            line[lines[0].index("bytes_up")] = str(int(line[lines[0].index("bytes_up")]) - 4)
    path.write_text("".join(",".join(line) + "\n" for line in lines))
    by, said = noticed(suite, RUN.name)
    assert by == "validate" and said == ["history.csv, line 18: bytes_up is 2885996; by all other lines 2886000"]


@pytest.mark.parametrize(("visits", "more"), [("30", -88_400), ("270", 88_400)])
def test_a_method_that_spends_otherwise_before_the_first_or_after_the_last_inner_evaluation_is_honest(visits, more):
    record = read_record(RUN)
    rows = pd.read_csv(RUN / "history.csv", dtype=str)
    at = rows["visits"] == visits
    assert at.any()
    rows.loc[at, "bytes_up"] = [str(int(cell) + more) for cell in rows.loc[at, "bytes_up"]]
    sheet = Sheet("history.csv", {name: place for place, name in enumerate(rows)}, rows.to_numpy().tolist())
    assert list(check_costs(sheet, record, later=True)) == []


def document_with(tmp_path, run=RUN, **changes):
    suite = copied(run, tmp_path)
    path = suite / "runs" / run.name / "run.json"
    document = json.loads(path.read_text())
    for name, value in changes.items():
        first, _, second = name.partition("__")
        if second:
            document[first][second] = value
        else:
            document[first] = value
    path.write_text(json.dumps(document))
    return noticed(suite, run.name)


def test_a_field_at_its_default_is_no_part_of_the_id_and_is_compared_all_the_same(tmp_path):
    by, (said,) = document_with(tmp_path, config__lr=0.5)
    assert by == "validate" and "what its record asks for is the run apfl-s0-" in said


def test_what_a_table_of_results_takes_is_compared_whenever_it_is_read(tmp_path):
    by, (said,) = document_with(tmp_path, costs__bytes_up=1)
    assert (by, said) == ("reading", "costs.bytes_up is 1 in run.json and '5772000' at the end of history.csv")


def test_candidates_and_moment_are_the_methods(tmp_path):
    document = json.loads((RUN / "run.json").read_text())
    for scores in document["summary"]["received"].values():
        scores["candidates"] = 9
    _, said = document_with(tmp_path, summary=document["summary"])
    assert "candidates is 9; all 10 evaluations are selectable" in said[0]
    _, said = document_with(tmp_path / "2", official_moment="global")
    assert "official_moment is 'global'; apfl's is received" in said[-1]


def test_runs_are_compared_with_each_other(tmp_path):
    suite, source = tmp_path / "shifts", PUBLISHED / "shifts"
    found = [read_record(run) for run in sorted((source / "runs").glob("fedavg-s*"))]
    runs = [one for one in found if one.scenario_id == "digits-alike-n20-v1"][:3]
    assert [one.seed for one in runs] == [0, 1, 2]
    for run in runs:
        shutil.copytree(source / "runs" / run.id, suite / "runs" / run.id)
    shutil.copytree(source / "partitions", suite / "partitions")
    assert list(disagreements(suite, runs)) == []
    path = suite / "runs" / runs[0].id / "run.json"
    path.write_text(path.read_text().replace('"client_model_size": 4810', '"client_model_size": 481'))
    partition = suite / "partitions" / f"{runs[1].partition_sha256[:12]}.csv"
    lines = partition.read_text().splitlines()
    cells = lines[1].split(",")
    lines[1] = ",".join([*cells[:4], str(int(cells[4]) + 1), *cells[5:]])
    partition.write_text("\n".join(lines) + "\n")
    size, samples = disagreements(suite, [read_record(suite / "runs" / run.id) for run in runs])
    assert size == f"runs/{runs[0].id}: client_model_size is 481, and 4810 in 2 other runs"
    assert samples.startswith(f"partitions/{partition.name} deals ") and "in the splits of 2 other seeds" in samples


def test_what_cannot_be_noticed_is_said(tmp_path):
    assert "as far as their other figures allow" in UNNOTICED and "computing the run again" not in UNNOTICED
    suite = copied(RUN, tmp_path)
    (suite / "runs" / RUN.name / "history.csv").unlink()
    record = read_record(PUBLISHED / "quick" / "runs" / RUN.name)
    assert list(contradictions(suite, record)) == ["there is no history.csv in it"]


def test_more_adaptation_than_the_evaluations_allow_is_noticed(tmp_path):
    run = next((PUBLISHED / "quick" / "runs").glob("fedavg_ft-s0-*"))
    suite = copied(run, tmp_path)
    place = suite / "runs" / run.name
    rows = pd.read_csv(place / "history.csv")
    rows["adapt_steps"] *= 2
    rows.to_csv(place / "history.csv", index=False)
    record = json.loads((place / "run.json").read_text())
    record["costs"]["adapt_steps"] *= 2
    (place / "run.json").write_text(json.dumps(record))
    said = list(contradictions(suite, read_record(place)))
    assert len(said) == 1 and "adapt_steps is" in said[0] and "its evaluations allow" in said[0], said
