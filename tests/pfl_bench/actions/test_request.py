"""What a request is made of, before anything is loaded: order, home folders, and files with a byte-order mark."""

import pytest

from pfl_bench.errors import shown
from pfl_bench.spec.suite import load_suite
from tests.conftest import PLUGINS

SUITE = """name = "mine"
methods = ["fedavg", "local"]
seeds = [0, 3]
[[scenario]]
id = "a-v1"
dataset = "npz:~/none.npz"
partition = { rule = "iid" }
clients = 4
model = "mlp"
visits = 10
local_steps = 5
batch_size = 8
eval_every = 5
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    folder = tmp_path / "home"
    folder.mkdir()
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(folder))
    (folder / "s.toml").write_bytes(b"\xef\xbb\xbf" + SUITE.encode())
    return folder


def test_lists_of_methods_and_seeds_and_a_byte_order_mark_are_read(home):
    suite = load_suite("~/s.toml")
    assert (suite.methods, suite.seeds) == ("fedavg,local", "0,3")


@pytest.mark.parametrize(
    "words",
    [
        ("run", "--executor", "serial", "--suite", "~/s.toml"),
        ("run", "--executor", "serial", "--suite", "~/s.toml", "--out", "~/none.npz"),
        ("data", "verify", "npz:~/none.npz"),
        ("data", "verify", "mnist", "--data-dir", "~/none.npz"),
        ("run", "--plugin", "~/none.npz"),
        ("compare", "~/none.npz", "~"),
        ("leaderboard", "--out", "~/none.npz"),
    ],
    ids=" ".join,
)
def test_the_home_folder_is_meant_wherever_a_path_is_named(home, cli, words):
    status, _, err = cli(*words)
    meant = str(home / "none.npz")
    assert status == 2 and (meant in err or shown(meant) in err) and err.count("\n") == 1


@pytest.mark.parametrize(
    "words",
    [
        ("--executor", "serail"), ("--backend", "lop"), ("--device", "cpu:1"), ("--track", "wandb"), ("--seeds", "3-1"),
        ("--budget-scale", "0"), ("--precision", "fp61"), ("--out", "p.py/x"), ("--set", "fedavg"),
        ("--address", "nowhere"), ("--address", "a:1", "--executor", "serial"), ("--workers", "0"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_no_plugin_runs_for_a_request_that_is_refused_without_it(cli, tmp_path, words):
    (tmp_path / "p.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    status, _, err = cli("run", "--plugin", "p.py", *words)
    assert status == 2 and err.count("\n") == 1 and not (tmp_path / "ran").exists()


def test_a_plugin_with_a_byte_order_mark_is_read(cli, tmp_path):
    (tmp_path / "p.py").write_bytes(b"\xef\xbb\xbf" + (PLUGINS / "fedmedian.py").read_bytes())
    status, out, _ = cli("list", "methods", "--plugin", "p.py")
    assert status == 0 and "fedmedian" in out


PLUGIN = """
from typing import Any
from pfl_bench.api import register_method
from pfl_bench.methods.fedavg import FedAvg
@register_method({name!r}, paper="none")
class Mine(FedAvg):
    class Config(FedAvg.Config):
        extra: {extra}
"""


@pytest.mark.parametrize(
    ("name", "extra", "words", "said"),
    [
        ("mine", "Any = print", (), "extra=<built-in function print> cannot be written as JSON"),
        ("mine", "Any = (1, 2)", (), "comes back from JSON as [1, 2]"),
        ("mine", "tuple[int, ...]", ("--set", "mine.extra=3"), "extra=3 must be a list, "),
        ("con", "int = 1", (), "method name 'con' is reserved by Windows"),
        ("m" * 101, "int = 1", (), "has 101 characters; at most 100"),
    ],
)
def test_methods_that_cannot_be_recorded_are_refused(cli, tmp_path, name, extra, words, said):
    (tmp_path / "p.py").write_text(PLUGIN.format(name=name, extra=extra))
    status, _, err = cli("run", "--methods", name, "--plugin", "p.py", "--executor", "serial", *words)
    assert status == 2 and said in err and err.count("\n") == 1
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("old", "new"), [('"mlp"', '"mlpp"'), ('"iid"', '"idd"'), ("npz:~/none.npz", "nppz"), ('"mlp"', '"lenet"')]
)
def test_what_is_refused_of_a_scenario_says_of_which(cli, tmp_path, old, new):
    text = SUITE.replace("npz:~/none.npz", "digits") if old != "npz:~/none.npz" else SUITE
    (tmp_path / "s.toml").write_text(text.replace(old, new))
    status, _, err = cli("run", "--executor", "serial", "--suite", "s.toml")
    assert status == 2 and err.startswith("error: scenario 'a-v1': ") and new.strip('"') in err and err.count("\n") == 1
