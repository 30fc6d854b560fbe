"""Other systems, as far as they can be had here: a child process without what they lack imports everything and runs."""

import io
import json
import os
import subprocess
import sys

import pytest

import pfl_bench as pfl
from pfl_bench.cli.app import run_command_line
from pfl_bench.cli.board import print_leaderboard
from pfl_bench.cli.terminal import PLAIN, make_console, say
from pfl_bench.testing.checks import CHECKS
from tests.pfl_bench.cli.tiny import SUITE

LACKS = {
    "win32": {
        "sys.modules": "fcntl resource termios tty pty pwd grp ray",
        "os": "fork forkpty setsid getsid killpg getpgid getpgrp setpgid getuid geteuid getgid "
        "sched_getaffinity mkfifo nice WNOHANG chown sysconf",
        "signal": "SIGHUP SIGALRM SIGKILL SIGCHLD SIGQUIT SIGUSR1 SIGUSR2 setitimer getitimer alarm ITIMER_REAL "
        "pthread_sigmask pause",
        "multiprocessing.context": "ForkContext ForkProcess ForkServerContext ForkServerProcess",
    },
    "darwin": {"sys.modules": "ray", "os": "sched_getaffinity sched_setaffinity"},
}
"""What a system has not, of what Linux has; and no Ray."""

CHILD = """
import importlib, json, sys
platform, lacks, arguments = json.loads(sys.argv[1])
for library in ("torch", "numpy", "pandas", "scipy.stats", "pydantic", "typer", "rich.progress",
                "filelock", "platformdirs", "PIL.Image", "safetensors.torch", "jinja2", "subprocess",
                "plotly", "multiprocessing.connection"):
    importlib.import_module(library)
for place, names in lacks.items():
    for name in names.split():
        if place == "sys.modules":
            sys.modules[name] = None
        else:
            vars(importlib.import_module(place)).pop(name)
sys.platform = platform

import pkgutil
import pfl_bench
for module in pkgutil.walk_packages(pfl_bench.__path__, "pfl_bench."):
    if ".tracking." not in module.name and not module.name.endswith("__main__"):  # trackers are others' programs
        importlib.import_module(module.name)
from pfl_bench.registry import ALL
for registry in ALL:
    registry.discover()
    assert not registry.broken, registry.broken

from pfl_bench.cli import signals
from pfl_bench.cli.app import run_command_line
signals.run_to_the_end(lambda: run_command_line(arguments))
"""


@pytest.mark.parametrize("platform", LACKS)
def test_everything_is_imported_and_runs_where_the_system_lacks_this_and_ray_too(platform, tmp_path):
    (tmp_path / "tiny.toml").write_text(SUITE)
    asked = [platform, LACKS[platform], ["run", "--suite", "tiny.toml", "--methods", "fedper", "--seeds", "0"]]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, json.dumps(asked)], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": ""},  # no git: Linux's subprocess needs what is not there
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("Ray is not installed, so runs are computed one after another") == 1
    names = [path.name for path in (tmp_path / "results").rglob("*")]
    assert "leaderboard.csv" in names and not any(set(name) & set('<>:"|?*\\') for name in names)


def test_without_ray_it_is_refused_by_name_and_check_says_what_it_leaves_out(cli, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    status, _, err = cli("run", "--executor", "ray", "--methods", "fedavg")
    assert status == 2 and "pip install 'pfl-bench[ray]'" in err and err.count("\n") == 1
    monkeypatch.setattr("pfl_bench.testing.CHECKS", [check for check in CHECKS if check.needs])
    status, out, _ = cli("check", "fedavg")
    assert status == 0 and "serial = Ray, bitwise: not examined, for the package 'ray' is not installed" in out


@pytest.fixture
def streams(monkeypatch):
    """Replace the standard streams by ones of an encoding, as strict as can be; returns what was written to each."""

    def replace(encoding):
        own = [io.TextIOWrapper(io.BytesIO(), encoding) for _ in range(2)]
        monkeypatch.setattr(sys, "stdout", own[0])
        monkeypatch.setattr(sys, "stderr", own[1])
        return lambda: [(stream.flush(), stream.buffer.getvalue().decode(encoding))[1] for stream in own]

    return replace


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_every_terminal_can_show_a_table_and_its_legend(encoding, streams):
    written = streams(encoding)
    table, console = pfl.published("quick").leaderboard(), make_console()
    print_leaderboard(console, table, set(table["scenario"]))
    say(console, "snow \u2603 \udce9")
    out, _ = written()
    assert "snow \\u2603" in out and "knn_per" in out
    assert ("±" if encoding != "ascii" else PLAIN["±"]) in out
    assert f"99.33 {'±' if encoding != 'ascii' else PLAIN['±']} 0.50 {'†' if encoding == 'cp1252' else '*'}" in out


def test_the_locale_c_and_a_dumb_terminal(tmp_path):
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "TERM": "dumb"}
    (tmp_path / "\u00e9.toml").write_text(SUITE.replace('"tiny"', '"tiny"  # \u2020'), encoding="utf-8")
    command = [sys.executable, "-m", "pfl_bench", "run", "--suite", "\u00e9.toml", "--methods", "fedavgg"]
    done = subprocess.run(command, env={**os.environ, **locale}, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 2 and b"did you mean 'fedavg'?" in done.stderr


COMMANDS = [["--help"], ["run", "--help"], ["list", "methods"], ["list", "fields"], ["run", "--suite", "qu\u00efk"],
            ["leaderboard", "--suite", "\u2020"], ["compare", "r\u00e9", "\udce9"]]  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: " ".join(words).encode("ascii", "replace").decode())
def test_no_command_fails_for_want_of_a_character(words, cli, streams):
    written = streams("ascii")
    assert run_command_line(words) in (0, 2) and any(written())
