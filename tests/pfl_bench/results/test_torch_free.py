"""What is asked and what came of it are read without torch and ray, which take seconds to load."""

import subprocess
import sys

import pytest

from tests.ledgers import folder_with, record

IMPORT_ALL = """
import importlib, pkgutil, sys
room = importlib.import_module(sys.argv[1])
for module in pkgutil.walk_packages(room.__path__, room.__name__ + "."):
    importlib.import_module(module.name)
    if heavy := {"torch", "ray"} & set(sys.modules):
        sys.exit(f"{module.name} loads {heavy}")
"""
COMMAND = """
import sys
from pfl_bench.cli.app import run_command_line
status = run_command_line(sys.argv[1:])
sys.exit(f"{ {'torch', 'ray'} & set(sys.modules) }" if {"torch", "ray"} & set(sys.modules) else status)
"""


def fresh(code, *arguments):
    """A program in an interpreter of its own."""
    return subprocess.run([sys.executable, "-c", code, *arguments], check=False, capture_output=True, text=True)


@pytest.mark.parametrize("room", ["pfl_bench.results", "pfl_bench.spec"])
def test_no_module_of_a_room_loads_them(room):
    done = fresh(IMPORT_ALL, room)
    assert done.returncode == 0, done.stderr


def test_leaderboard_and_compare_load_neither(tmp_path):
    folder = folder_with(tmp_path / "s", record(), record("ditto", accuracy=60.0))
    formats = ("--format", "csv,md,tex,html")
    for words in (["leaderboard", "--suite", "s", "--out", str(tmp_path), *formats], ["compare", *[str(folder)] * 2]):
        done = fresh(COMMAND, *words)
        assert done.returncode == 0, done.stderr
    assert (folder / "leaderboard.html").exists()
