"""The page ``docs/own_data.md``: what it tells people to write and to run works as it stands there."""

import re
from pathlib import Path

import pytest

from pfl_bench.registry import DATASETS

from .pages import run_shell

PAGE = Path(__file__).parent.parent / "docs" / "own_data.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_commands_of_the_page_work_in_their_order(cli, tmp_path, monkeypatch):
    said = []
    for language, text in BLOCKS:
        if language != "sh":
            named = re.match(r"# (\S+)\n", text)
            assert named, f"the block {text[:60]!r} does not begin with its file's name"
            (tmp_path / named[1]).write_text(text, encoding="utf-8")
            continue
        said += run_shell(text, cli, tmp_path)
    described, table, _, pile, own = said
    assert "table rows of shape (4), 3 classes, 12 groups" in described and "20% of every group" in described
    assert "fedper" in table and (tmp_path / "results" / "steps" / "leaderboard.md").exists()
    assert "400 train and 100 test samples, images of shape (1, 12, 12), 4 classes, no groups" in pile
    assert "series of shape (2, 32), 3 classes, 5 groups" in own


def test_the_sources_of_the_page_are_there():
    named = set(re.findall(r"^\|[^|]*\| `([a-z]+):", PAGE.read_text(encoding="utf-8"), re.MULTILINE))
    assert {"parquet", "npz", "imagefolder", "pfllib", "leaf", "torchvision", "hf", "typefaces"} <= named
    assert named <= set(DATASETS.names())


@pytest.mark.parametrize("option", ["label", "group", "split", "order", "features", "drop", "missing", "separator"])
def test_the_options_of_tables_are_on_the_page(option):
    assert f"`{option}=" in PAGE.read_text(encoding="utf-8")


def test_paths_of_a_suite_begin_where_the_command_runs(cli, tmp_path):
    """As the page says: not in the folder of the suite's file."""
    scenario = """name = "mine"
[[scenario]]
id = "mine-v1"
dataset = "csv:steps.csv?label=y"
partition = { rule = "iid" }
clients = 2
model = "mlp"
visits = 2
local_steps = 1
batch_size = 4
eval_every = 2
"""
    (tmp_path / "suites").mkdir()
    (tmp_path / "suites" / "mine.toml").write_text(scenario)
    run = ("run", "--suite", "suites/mine.toml", "--methods", "local", "--executor", "serial", "--in-process")
    (tmp_path / "suites" / "steps.csv").write_text("x,y\n" + "1,a\n2,b\n" * 20)
    status, _, error = cli(*run)
    assert status == 2 and "steps.csv does not exist" in error
    (tmp_path / "suites" / "steps.csv").rename(tmp_path / "steps.csv")
    assert cli(*run)[0] == 0
    status, _, error = cli("data", "verify", "steps.csv?label=y")
    assert status == 2 and "did you mean 'csv:steps.csv?label=y'?" in error
