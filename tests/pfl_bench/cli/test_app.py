import csv
import json
import os
import re
from pathlib import Path

import pytest

from pfl_bench.results.frame import read_runs
from tests.pfl_bench.cli.tiny import files, run_tiny


def test_run_prints_the_table_and_writes_the_ledger(cli, tiny, tmp_path):
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0
    assert "synthetic-classes2-n6-v1: 20 client visits x 10 local steps" in out
    assert "fedper" in out and "leaderboard.csv" in out
    folder = tmp_path / "results" / "tiny"
    rows = list(csv.DictReader((folder / "leaderboard.csv").open()))
    assert {row["method"] for row in rows} == {"fedavg", "fedper"}
    assert {row["seeds"] for row in rows} == {"2"}
    runs = list(csv.DictReader((folder / "runs.csv").open()))
    assert len(runs) == 4
    for row in runs:
        record = json.loads((folder / "runs" / row["run_id"] / "run.json").read_text())
        assert record["partition_sha256"] == row["partition_sha256"] and len(row["partition_sha256"]) == 64
        assert record["versions"]["torch"] and record["hardware"]["cores"] and record["method_source_sha256"]
    hashes = {(row["method"], row["seed"]): row["partition_sha256"] for row in runs}
    assert hashes["fedavg", "0"] == hashes["fedper", "0"] != hashes["fedavg", "1"]


def test_finished_runs_are_not_repeated_and_fresh_repeats_them(cli, tiny, tmp_path):
    run_tiny(cli, tiny)
    before = read_runs(tmp_path / "results" / "tiny")
    status, out, _ = run_tiny(cli, tiny)
    assert status == 0 and "4 of 4 runs were finished before" in out
    assert read_runs(tmp_path / "results" / "tiny")["seconds"].equals(before["seconds"])
    run_tiny(cli, tiny, "--fresh", "--methods", "fedavg")
    after = read_runs(tmp_path / "results" / "tiny")
    changed = after["seconds"] != before["seconds"]
    assert set(after["method"][changed]) == {"fedavg"}
    assert after["accuracy"].equals(before["accuracy"])


def test_budget_scale_and_settings_make_other_runs(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--methods", "fedavg", "--seeds", "0", "--budget-scale", "0.5", "--set", "fedavg.lr=0.1")
    (row,) = read_runs(tmp_path / "results" / "tiny").to_dict("records")
    assert row["scenario"] == "synthetic-classes2-n6-v1@0.5x" and row["visits"] == 10
    assert json.loads(row["config"])["lr"] == 0.1


def test_leaderboard_command_rebuilds_all_formats(cli, tiny, tmp_path):
    run_tiny(cli, tiny)
    folder = tmp_path / "results" / "tiny"
    original = (folder / "leaderboard.csv").read_text()
    (folder / "leaderboard.csv").unlink()
    status, _, _ = cli("leaderboard", "--suite", "tiny", "--format", "csv,md,tex")
    assert status == 0
    assert (folder / "leaderboard.csv").read_text() == original
    assert {"leaderboard.md", "leaderboard.tex"} <= files(folder)


def test_a_failed_run_is_in_the_table_and_the_others_go_on(cli, tiny, tmp_path):
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0", "--set", "fedavg.lr=1e30", "--set", "fedavg.clip_norm=1e30")
    assert status == 1
    assert "1 diverged" in out and "NaN or infinite loss for client" in out
    statuses = read_runs(tmp_path / "results" / "tiny").set_index("method")["status"].to_dict()
    assert statuses == {"fedavg": "diverged", "fedper": "finished"}
    again, out, _ = run_tiny(cli, tiny, "--seeds", "0", "--set", "fedavg.lr=1e30", "--set", "fedavg.clip_norm=1e30")
    assert again == 1 and "2 of 2 runs were finished before" in out


def test_a_full_disk_fails_the_run_with_its_reason(cli, tiny, monkeypatch):
    write = Path.write_text

    def full(self, data, **kwargs):
        if self.name == "clients.csv" and "fedavg" in str(self):
            raise OSError(28, "No space left on device")
        return write(self, data, **kwargs)

    monkeypatch.setattr(Path, "write_text", full)
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert status == 1
    assert "No space left on device" in out and re.search(r"fedper .* 1 *\n", out)
    monkeypatch.setattr(Path, "write_text", write)
    assert run_tiny(cli, tiny, "--seeds", "0")[0] == 0, "a failed run is tried again"


def test_tables_that_cannot_be_written_are_still_printed(cli, tiny, monkeypatch, tmp_path):
    opened = Path.open

    def full(self, *arguments, **kwargs):
        if "leaderboard" in self.name:
            raise OSError(28, "No space left on device")
        return opened(self, *arguments, **kwargs)

    monkeypatch.setattr(Path, "open", full)
    status, out, _ = run_tiny(cli, tiny, "--seeds", "0")
    assert status == 1
    assert "20 client visits x 10 local steps" in out and "could not be written" in out
    assert not list((tmp_path / "results" / "tiny").glob(".*.new"))


@pytest.mark.parametrize("what", ["methods", "datasets", "scenarios", "suites"])
def test_lists(cli, what):
    status, out, _ = cli("list", what)
    assert status == 0
    expected = {"methods": "pfedhn_pc", "datasets": "omniglot", "scenarios": "cifar10-classes2-n50-v1",
                "suites": "paper-table1"}  # fmt: skip
    assert expected[what] in out


@pytest.mark.parametrize(
    ("what", "rows"),
    [
        (
            "partitions",
            [("classes", "variant", '"code"', "code: as in"), ("(every rule of labels)", "quantity")],
        ),
        ("quantity", [("lognormal", "sigma", "2.0", "the larger"), ("dirichlet", "beta", "required")]),
        ("shifts", [("rotation", "angles", "[]", "in degrees"), ("(every shift)", "groups", "2", "into how many")]),
        ("availability", [("availability", "least_work", "0.1", "the least share")]),
        ("models", [("torchvision", "image", "NAME or NAME")]),
        ("metrics", [("auc", "percent", "higher", "yes"), ("log_loss", "nats", "lower")]),
        ("fields", [("scenario", "primary", '"accuracy"', "the metric"), ("enroll", "samples", '["all"]')]),
    ],
)
def test_lists_have_parameters_with_defaults_and_meanings(cli, what, rows):
    status, out, _ = cli("list", what)
    assert status == 0
    for row in rows:
        assert re.search(r"^.*" + r" .*".join(map(re.escape, row)), out, re.MULTILINE), row


def test_ray_and_serial_write_the_same_results(cli, tiny, tmp_path):
    assert cli("run", "--suite", tiny, "--workers", "2", "--out", "by-ray")[0] == 0
    assert run_tiny(cli, tiny, "--out", "by-hand")[0] == 0
    columns = ["run_id", "accuracy", "loss", "worst_decile", "validation_accuracy", "last_accuracy"]
    by_ray, by_hand = (read_runs(tmp_path / f"by-{how}" / "tiny")[columns] for how in ("ray", "hand"))
    assert by_ray.equals(by_hand)


def test_no_arguments_show_help(cli):
    status, out, err = cli()
    assert "run" in out + err and status in (0, 2)


def test_tests_read_nothing_of_the_users_data():
    assert os.environ["PFL_BENCH_DATA"].startswith("/nonexistent")


def test_a_folder_whose_name_is_no_text_is_written(cli, tiny, tmp_path):
    status, _, err = run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg", "--out", str(tmp_path / "o\udce9"))
    assert status == 0, err
    assert (tmp_path / "o\udce9" / "tiny" / "leaderboard.csv").exists()


def test_tables_that_are_there_are_renewed_with_the_runs(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg")
    cli("leaderboard", "--suite", "tiny", "--format", "md,html")
    run_tiny(cli, tiny, "--seeds", "0", "--methods", "fedavg,local")
    folder = tmp_path / "results" / "tiny"
    assert all("local" in (folder / f"leaderboard.{name}").read_text() for name in ("csv", "md", "html"))
    assert not (folder / "leaderboard.tex").exists()


def test_a_cell_that_is_gone_is_no_success(cli, tiny, tmp_path):
    run_tiny(cli, tiny, "--seeds", "0-2", "--methods", "fedavg,local", "--out", "a")
    run_tiny(cli, tiny, "--seeds", "0-2", "--methods", "fedavg", "--out", "b")
    status, out, _ = cli("compare", "a/tiny", "b/tiny")
    assert status == 1 and "0 of 2 cells got worse; 1 is gone" in out
    assert cli("compare", "b/tiny", "a/tiny")[0] == 0, "a new one is none"
