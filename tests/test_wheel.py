"""A wheel built from the repository and installed elsewhere must find every method, data set and suite."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from pfl_bench.registry import DATASETS, METHODS
from pfl_bench.spec.suite import builtin_suites

ROOT = Path(__file__).parent.parent


def execute(*arguments: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    if not Path(sysconfig.get_paths()["purelib"]).is_relative_to(sys.prefix):
        pytest.skip("this environment borrows another's packages, which pip --target would move away")
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    names = ["pfl_bench", "methods", "datasets", "pyproject.toml", "README.md", "LICENSE"]
    source.mkdir()
    for name in names:  # a copy, so that setuptools leaves no build folder in the checkout
        subprocess.run(["cp", "-r", str(ROOT / name), str(source)], check=True)
    pip = ("-m", "pip", "--disable-pip-version-check")
    execute(*pip, "wheel", "-q", "--no-build-isolation", "--no-deps", "-w", str(folder), str(source), folder=folder)
    (wheel,) = folder.glob("*.whl")
    target = folder / "site"
    execute(*pip, "install", "-q", "--no-deps", "--no-index", "--target", str(target), str(wheel), folder=folder)
    return folder, target


def test_wheel_finds_everything_and_runs(installed):
    folder, target = installed
    code = (
        "import pfl_bench; from pfl_bench.registry import METHODS, DATASETS;"
        "from pfl_bench.spec.suite import builtin_suites;"
        "print(pfl_bench.__file__, METHODS.entry('fedavg').origin, *METHODS.names(), *DATASETS.names(),"
        "*builtin_suites())"
    )
    out = execute("-c", code, folder=folder, PYTHONPATH=str(target)).split()
    assert out[0].startswith(str(target)) and out[1].startswith(str(target)), "not the editable checkout"
    assert out[2:] == [*METHODS.names(), *DATASETS.names(), *builtin_suites()]
    arguments = ["run", "--methods", "fedavg", "--seeds", "0", "--budget-scale", "0.1", "--executor", "serial"]
    table = execute("-m", "pfl_bench", *arguments, folder=folder, PYTHONPATH=str(target))
    assert "fedavg" in table and (folder / "results" / "quick" / "leaderboard.csv").exists()
