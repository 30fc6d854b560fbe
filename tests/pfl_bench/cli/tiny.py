"""A suite of seconds, and how its runs are asked for: what tests of commands share."""

from pathlib import Path

from tests.conftest import PLUGINS

FEDMEDIAN = str(PLUGINS / "fedmedian.py")


SUITE = """
name = "tiny"
methods = "fedavg,fedper"
seeds = "0-1"

[[scenario]]
id = "synthetic-classes2-n6-v1"
dataset = "synthetic:classes=3,n=180"
partition = { rule = "classes", classes = 2 }
clients = 6
model = "mlp"
visits = 20
local_steps = 10
batch_size = 8
eval_every = 5
"""


def run_tiny(cli, tiny, *arguments):
    return cli("run", "--suite", tiny, "--executor", "serial", *arguments)


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def assert_refused(cli, folder: Path, message: str, *arguments: str) -> None:
    before = files(folder)
    status, out, err = cli(*arguments)
    assert status == 2, (out, err)
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert message in err
    assert files(folder) == before, "nothing may be written"
