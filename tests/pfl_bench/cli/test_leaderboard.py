"""The command that reads what others wrote: nothing that lies there costs the tables, and nothing goes unsaid."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from rich.console import Console

from pfl_bench.cli.board import print_leaderboard
from pfl_bench.cli.terminal import print_rows, say
from pfl_bench.results.frame import read_runs
from pfl_bench.results.leaderboard import leaderboard
from tests.ledgers import folder_with, full_folder, id_of, record

SUITE = """
name = "trial"
[[scenario]]
id = "s-v1"
dataset = "digits"
partition = { rule = "iid" }
clients = 5
model = "mlp"
visits = 4
local_steps = 2
batch_size = 16
eval_every = 2
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return folder_with(tmp_path / "results" / "trial", *(record(m, s) for m in ("fedavg", "local") for s in range(2)))


def printed(table: pd.DataFrame, width: int = 140) -> str:
    console = Console(file=(file := io.StringIO()), width=width)
    print_leaderboard(console, table, set(table["scenario"]))
    return file.getvalue()


def test_a_suites_file_names_the_folder_that_run_wrote(cli, folder, tmp_path):
    (tmp_path / "my.toml").write_text(SUITE)
    status, out, _ = cli("leaderboard", "--suite", "my.toml")
    assert status == 0 and "fedavg" in out and (folder / "leaderboard.csv").is_file()
    status, _, err = cli("leaderboard", "--suite", "none.toml")
    assert status == 2 and "cannot be read" in err


@pytest.mark.parametrize("how", ["empty", "damaged", "unreadable", "gone"])
def test_a_full_table_is_not_replaced_by_an_empty_one(cli, folder, monkeypatch, how):
    assert cli("leaderboard", "--suite", "trial", "--format", "csv,md")[0] == 0
    before = {path.name: path.read_bytes() for path in folder.glob("*.*")}
    listed = Path.iterdir
    if how == "unreadable":

        def forbidden(self):
            if self.name == "runs":
                raise PermissionError(13, "Permission denied")
            return listed(self)

        monkeypatch.setattr(Path, "iterdir", forbidden)
    elif how == "damaged":
        for path in folder.glob("runs/*/run.json"):
            path.write_text("{")
    else:
        (folder / "runs").rename(folder / "elsewhere")
        if how == "empty":
            (folder / "runs").mkdir()
    status, _, err = cli("leaderboard", "--suite", "trial", "--format", "csv,md")
    said = {"empty": "it is empty", "damaged": "not JSON", "unreadable": "Permission denied", "gone": "no runs in"}
    assert status == 2 and said[how] in err and err.count("\n") == 1
    assert {path.name: path.read_bytes() for path in folder.glob("*.*")} == before


def test_nothing_is_written_through_a_link(cli, folder, tmp_path):
    target = tmp_path / "precious"
    target.write_text("mine")
    for name in (".leaderboard.csv.new", "leaderboard.csv", ".runs.csv.new"):
        (folder / name).symlink_to(target)
    assert cli("leaderboard", "--suite", "trial")[0] == 0
    assert target.read_text() == "mine" and not (folder / "leaderboard.csv").is_symlink()
    assert "fedavg" in (folder / "leaderboard.csv").read_text() and not list(folder.glob(".*.new"))


def test_what_is_left_out_is_one_line(cli, folder):
    for number in range(30):
        (folder / "runs" / f"x\x1b[31m{number}\u202e").mkdir()
    status, out, _ = cli("leaderboard", "--suite", "trial")
    (line,) = [line for line in out.splitlines() if line.startswith("Left out")]
    assert status == 0 and line.startswith("Left out (30): runs/x") and line.endswith("and 27 more")
    assert "\x1b" not in out and "\u202e" not in out and r"\x1b[31m" in line and len(line) < 700


@pytest.mark.parametrize("how", ["ascii", "closed pipe"])
def test_a_terminal_that_cannot_show_it_never_costs_the_tables(folder, how):
    command = f"({sys.executable} -m pfl_bench leaderboard --suite trial --format csv,md; echo status $? >&2)"
    command += " | head -c 1" if how == "closed pipe" else ""
    environment = {**os.environ, "PYTHONIOENCODING": "ascii", "LANG": "C"} if how == "ascii" else dict(os.environ)
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder.parents[1], env=environment, capture_output=True, check=False
    )
    assert done.stderr.decode() == "status 0\n"
    assert (folder / "leaderboard.md").is_file() and (folder / "runs.csv").is_file()
    assert how == "closed pipe" or "50.00 +- 0.00" in done.stdout.decode("ascii")


def test_at_80_columns_no_accuracy_is_broken(tmp_path):
    configs = [{"lr": lr, "a_rather_long_name": "x" * 30} for lr in (0.1, 0.2)]
    runs = [record("pfedhn_pc", seed, 98.76 + seed, config=config) for config in configs for seed in range(2)]
    runs += [record("fedavg", seed, status="diverged", reason="NaN " * 500) for seed in range(3)]
    text = printed(leaderboard(read_runs(folder_with(tmp_path, *runs))), 80)
    assert text.count("99.26 ± 0.71") == 2 and "3 diverged" in " ".join(text.split())
    table = text[: text.index("fedavg: NaN")]
    assert max(map(len, table.splitlines()[1:-1])) <= 80 and len(text) < 2500


def test_a_skipped_run_has_no_moment(tmp_path):
    skipped = record("fedper", status="skipped", reason="no head", official_moment=None)
    text = printed(leaderboard(read_runs(folder_with(tmp_path, record(), skipped))))
    assert "nan" not in text.lower() and "1 skipped" in text


MIXED = [
    ({"git_commit": "a" * 40}, {"git_commit": "b" * 40}, "commits aaaaaaa, bbbbbbb"),
    ({"git_commit": "a" * 40}, {"git_commit": "a" * 40 + "+dirty"}, "commits aaaaaaa, aaaaaaa+dirty"),
    ({"git_commit": "a+dirty"}, {"git_commit": "a+dirty"}, "commits a+dirty"),
    ({"versions": {"torch": "2.14.0"}}, {"versions": {"torch": "2.15.0"}}, "torch 2.14.0, 2.15.0"),
    ({"device": "cpu"}, {"device": "cuda:1"}, "devices cpu, cuda"),
    ({"hardware": {"gpu": "H100"}}, {"hardware": {"gpu": "H200"}}, "GPUs H100, H200"),
    ({"backend": "loop"}, {"backend": "vmap"}, "back-ends loop, vmap"),
    ({"device": "cuda:0"}, {"device": "cuda:1"}, ""),
    ({"git_commit": ""}, {"git_commit": "a" * 40}, ""),
    ({"begun_under": [{"git_commit": "a" * 40, "torch": "2.14.0", "device": "cpu"}], "git_commit": "a" * 40},
     {"git_commit": "a" * 40}, ""),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other", "what"), MIXED)
def test_what_is_mixed_is_marked_and_said(cli, tmp_path, one, other, what):
    folder = folder_with(tmp_path / "results" / "s", record(**one), record(seed=1, **other), record("local", **one))
    status, out, _ = cli("leaderboard", "--suite", "s", "--format", "csv,md,tex")
    texts = [out, *((folder / f"leaderboard.{name}").read_text() for name in ("md", "tex"))]
    assert status == 0
    for text in texts:
        assert (f"averaged although they differ: fedavg: {what}" in text) == bool(what)
        assert text.count("2 ‡") + text.count(r"2 $\ddagger$") == bool(what) and "1 ‡" not in text
    assert ("mixed" in (folder / "leaderboard.csv").read_text()) == bool(what)


def test_a_single_run_in_two_pieces_is_marked(cli, tmp_path):
    begun = [{"git_commit": "a" * 40, "torch": "2.14.0", "device": "cpu"}]
    resumed = record(git_commit="b" * 40, versions={"torch": "2.15.0"}, begun_under=begun)
    folder = folder_with(tmp_path / "results" / "s", resumed, record("local", git_commit="b" * 40))
    _, out, _ = cli("leaderboard", "--suite", "s")
    assert "1 ‡" in out and "fedavg: torch 2.14.0, 2.15.0; commits aaaaaaa, bbbbbbb" in out
    runs = pd.read_csv(folder / "runs.csv").set_index("method")["begun_under"]
    assert json.loads(runs["fedavg"]) == begun and pd.isna(runs["local"])


def test_rows_evaluated_less_often_are_said_to_be(cli, tmp_path):
    scenario = {**record()["scenario"], "eval_every": 30, "adapt_every": 150, "visits": 100}
    adapted = record("fedavg_ft", official_moment="adapted", summary={"adapted": record()["summary"]["global"]})
    folder = folder_with(tmp_path / "results" / "s", *({**run, "scenario": scenario} for run in (record(), adapted)))
    _, out, _ = cli("leaderboard", "--suite", "s", "--format", "csv,md,tex,html")
    line = "The best evaluation is picked among fewer (fedavg_ft 1) than of the others (up to 4)"
    for text in (out, *((folder / f"leaderboard.{name}").read_text() for name in ("md", "tex", "html"))):
        assert " ".join(text.split()).replace(r"\_", "_").count(line) == 1
    alike = {**scenario, "adapt_every": None}
    folder_with(tmp_path / "results" / "t", *({**run, "scenario": alike} for run in (record(), adapted)))
    assert "picked among" not in cli("leaderboard", "--suite", "t")[1]


def test_a_scenario_edited_without_a_new_version_is_said_to_be(cli, tmp_path):
    edited = {**record()["scenario"], "visits": 101}
    folder_with(tmp_path / "results" / "s", record(), record("local"), {**record(seed=1), "scenario": edited})
    status, out, _ = cli("leaderboard", "--suite", "s")
    assert status == 0 and out.count("sc-v1 [") == 2
    assert "Edited without a new version, and so told apart by a hash behind the name: sc-v1\n" in out


def test_names_and_messages_are_no_commands_to_the_terminal():
    console = Console(file=io.StringIO(), width=60, force_terminal=True, color_system=None)
    say(console, "a\x1b]0;title\x07[bold]b[/bold]\u202e")
    print_rows(console, "t\x1b[2J", ["name"], [["[red]x\x9b1m"]])
    text = console.file.getvalue()
    assert r"a\x1b]0;title\x07[bold]b[/bold]\u202e" in text and r"[red]x\x9b1m" in text and r"t\x1b[2J" in text
    assert not set("\x07\x9b\u202e") & set(text) and "\x1b]" not in text and "\x1b[2J" not in text


def test_ids_lead_back_to_runs(cli, folder):
    cli("leaderboard", "--suite", "trial")
    rows = pd.read_csv(folder / "leaderboard.csv").set_index("method")
    assert rows.loc["fedavg", "runs"].split(" ") == [id_of(record(seed=seed)) for seed in range(2)]


@pytest.mark.parametrize("width", range(70, 200, 7))
def test_no_cell_is_broken_at_any_width(tmp_path, width):
    wide = {"rounds": 40_000, "state_floats": 123_456_789, "costs": {**record()["costs"], "adapt_steps": 4000}}
    runs = folder_with(tmp_path, record("pfedhn_pc", **wide), record("a", status="diverged", reason="NaN"))
    lines = printed(leaderboard(read_runs(runs)), width).splitlines()
    assert max(map(len, lines)) <= width
    assert ("Columns for which" in "".join(lines)) == (width < 165)
    rows = [line for line in lines if line.startswith(("     1   pfedhn_pc", "     -   a"))]
    assert len(rows) == 2 and rows[1].rstrip().endswith("0, 1 diverged")


def test_the_terminal_says_what_was_and_was_not_tested(tmp_path):
    few = printed(leaderboard(read_runs(full_folder(tmp_path / "few", seeds=2))))
    assert "†" not in few and "Not tested against the best: " in few
    runs = [record(m, s, 60.0 + (s * 7 + k) % 5) for k, m in enumerate(("a", "b")) for s in range(8)]
    many = printed(leaderboard(read_runs(folder_with(tmp_path / "many", *runs))))
    assert many.count("†") == 2 and "confidence set" in many


def test_markdown_says_what_was_left_out(cli, tmp_path):
    folder = folder_with(tmp_path / "results" / "s", record(), record(seed=1))
    next((folder / "runs").iterdir()).joinpath("run.json").write_text("{")
    cli("leaderboard", "--suite", "s", "--format", "md")
    assert "Left out (1): runs/fedavg-s" in (folder / "leaderboard.md").read_text()


def test_a_misspelt_folder_names_the_nearest(cli, tmp_path):
    folder_with(tmp_path / "results" / "quick", record())
    assert "did you mean 'quick'?" in cli("leaderboard", "--suite", "quik")[2]


def test_where_no_run_can_be_read_yet_nothing_is_printed(capsys):
    """As with --no-wait, while another driver computes the only run."""
    import pandas as pd

    from pfl_bench.cli.board import print_leaderboard
    from pfl_bench.cli.terminal import make_console
    from pfl_bench.results.leaderboard import leaderboard

    print_leaderboard(make_console(), leaderboard(pd.DataFrame()), {"a-v1"})
    assert not capsys.readouterr().out.strip()
